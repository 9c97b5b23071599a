// Health check of MongoDB, and its set-up: initiates a replica set of one node, creates the user
// of the consumers, and succeeds once the node is primary and the password is right.
//
// Both steps use MongoDB's exception for loopback, which ends with the first user. So a volume that was
// written without passwords gets the user at its next start.
const password = require("fs").readFileSync("/run/secrets/wahook/mongodb_password", "utf8").trimEnd();
const admin = db.getSiblingDB("admin");
const user = "wahook";

const hello = admin.hello();
if (!hello.setName) {
  rs.initiate({ _id: "rs0", members: [{ _id: 0, host: "mongo:27017" }] });
}
if (!hello.isWritablePrimary) {
  print("not primary yet");
  quit(1);
}
try {
  admin.auth(user, password);
} catch (refused) {
  try {
    // Reads and writes any database, because MONGODB_DATABASE can change; no administration of users.
    admin.createUser({ user, pwd: password, roles: ["readWriteAnyDatabase", "dbAdminAnyDatabase"] });
    print(`created user ${user}`);
  } catch {
    print(`the password of the user ${user} is not the one in mongodb_password: see docs/deployment.md (${refused.message})`);
    quit(1);
  }
}
