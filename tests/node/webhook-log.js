// Reads the log with the mongoose model and the queries of existing applications, on MONGODB_URI and
// MONGODB_DATABASE. Prints the results as one line of JSON: once with that model, and once with `_id`
// declared as a string (its actual type), which `save` and `validate` require.
'use strict';

const mongoose = require('mongoose');

const fields = {
  event: { type: String, required: true },
  payload: { type: mongoose.Schema.Types.Mixed, required: true },
  webhookUrl: { type: String, required: true },
  status: { type: String, enum: ['success', 'failed', 'retrying'], required: true },
  statusCode: Number,
  retryCount: { type: Number, default: 0 },
  errorMessage: String,
  createdAt: { type: Date, default: Date.now },
};

function model(name, fields) {
  const schema = new mongoose.Schema(fields);
  schema.index({ createdAt: -1 });
  schema.index({ status: 1, createdAt: -1 });
  schema.index({ event: 1, createdAt: -1 });
  return mongoose.model(name, schema, name === 'WebhookLog' ? undefined : 'webhooklogs');
}

function seen(entry) {
  const faults = entry.validateSync()?.errors ?? {};
  return {
    ...Object.fromEntries(Object.keys(fields).map((name) => [name, entry[name]])),
    createdAtIsDate: entry.createdAt instanceof Date,
    faults: Object.keys(faults),
  };
}

async function read(Log) {
  // Creates the indexes of the model. Fails if a different index has the same name.
  await Log.init();
  const lastTen = await Log.find().sort({ createdAt: -1 }).limit(10);
  const [newest, oldest] = [lastTen.at(0).createdAt, lastTen.at(-1).createdAt];
  const count = (createdAt) => Log.countDocuments({ createdAt });
  const byStatus = await Log.aggregate([{ $group: { _id: '$status', count: { $sum: 1 } } }]);
  const hour = 3_600_000;
  return {
    lastTen: lastTen.map(seen),
    failed: (await Log.find({ status: 'failed' }).sort({ createdAt: -1 })).map(seen),
    afterNewest: await count({ $gt: newest }),
    beforeOldestOfTen: await count({ $lt: oldest }),
    thisHour: await count({ $gte: new Date(Date.now() - hour), $lt: new Date(Date.now() + hour) }),
    lastHour: await count({ $lt: new Date(Date.now() - hour) }),
    byStatus: Object.fromEntries(byStatus.map(({ _id, count }) => [_id, count])),
    indexes: (await Log.listIndexes()).map(({ name }) => name).sort(),
  };
}

async function main() {
  await mongoose.connect(process.env.MONGODB_URI, { dbName: process.env.MONGODB_DATABASE });
  const asUsersHaveIt = await read(model('WebhookLog', fields));
  const withId = await read(model('WebhookLogWithId', { _id: String, ...fields }));
  console.log(JSON.stringify({ asUsersHaveIt, withId }));
  await mongoose.disconnect();
}

main().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
