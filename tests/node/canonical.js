// What ECMAScript itself makes of a text. For each line, a text in base64, prints
// JSON.stringify(JSON.parse(text)) in base64; an empty line where the text is refused.
'use strict';

const readline = require('node:readline');

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function canonical(line) {
  try {
    const text = decoder.decode(Buffer.from(line, 'base64'));
    return Buffer.from(JSON.stringify(JSON.parse(text))).toString('base64');
  } catch {
    return '';
  }
}

readline.createInterface({ input: process.stdin }).on('line', (line) => console.log(canonical(line)));
