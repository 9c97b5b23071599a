// ECMAScript reference for the canonical form. Reads texts in base64, one per line, and prints
// JSON.stringify(JSON.parse(text)) of each in base64, or an empty line if the text is not valid.
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
