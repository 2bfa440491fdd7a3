// CSV as Excel and other programs write it (RFC 4180, with any of four delimiters), from bytes and back.
const DELIMITERS = [",", ";", "\t", "|"];

// UTF-8 or UTF-16 by their byte order mark; else UTF-8 if it is valid, else what Excel writes in Russia.
export function decode(bytes) {
  const [first, second] = bytes;
  if (first === 0xff && second === 0xfe) return { text: new TextDecoder("utf-16le").decode(bytes), encoding: "UTF-16" };
  if (first === 0xfe && second === 0xff) return { text: new TextDecoder("utf-16be").decode(bytes), encoding: "UTF-16" };
  try {
    return { text: new TextDecoder("utf-8", { fatal: true }).decode(bytes), encoding: "UTF-8" };
  } catch {
    return { text: new TextDecoder("windows-1251").decode(bytes), encoding: "windows-1251" };
  }
}

// The one that cuts the first rows into as many cells each, and into most; a comma if none does.
export function findDelimiter(text) {
  const start = text.slice(0, 20000);
  let best = { delimiter: ",", score: 0 };
  for (const delimiter of DELIMITERS) {
    const counts = parse(start, delimiter).rows.slice(0, 20).map((row) => row.length);
    if (start.length < text.length) counts.pop(); // may be half a row
    const same = counts.filter((count) => count === counts[0]).length / (counts.length || 1);
    const score = counts[0] > 1 ? same * 100 + Math.min(counts[0], 50) : 0;
    if (score > best.score) best = { delimiter, score };
  }
  return best.delimiter;
}

// Rows of cells, without empty lines. `open` is the number of the row in which a quote opens that never closes.
export function parse(text, delimiter) {
  const rows = [];
  let row = [];
  let cell = "";
  let quoted = false;
  let began = 0;
  const endCell = () => { row.push(cell); cell = ""; };
  const endRow = () => {
    endCell();
    if (row.length > 1 || row[0] !== "") rows.push(row);
    row = [];
  };
  for (let i = 0; i < text.length; i += 1) {
    const sign = text[i];
    if (quoted) {
      if (sign !== '"') cell += sign;
      else if (text[i + 1] === '"') { cell += '"'; i += 1; } else quoted = false;
    } else if (sign === '"' && cell === "") { quoted = true; began = rows.length + 1; }
    else if (sign === delimiter) endCell();
    else if (sign === "\n" || sign === "\r") {
      if (sign === "\r" && text[i + 1] === "\n") i += 1;
      endRow();
    } else cell += sign;
  }
  if (cell !== "" || row.length) endRow();
  return { rows, open: quoted ? began : 0 };
}

export function format(rows, delimiter) {
  const cell = (value) => {
    const text = String(value);
    return /["\r\n]/.test(text) || text.includes(delimiter) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  // With the mark Excel takes it for UTF-8.
  return `\ufeff${rows.map((row) => `${row.map(cell).join(delimiter)}\r\n`).join("")}`;
}

const NAMES = /^(text|texts|текст|отзыв|review|comment|комментарий|сообщение|message|content)$/i;

// Which column holds the texts, and whether the first row is names: known names say both, else the longest cells do.
export function guessColumn(rows) {
  const named = rows[0].findIndex((cell) => NAMES.test(cell.trim()));
  if (named >= 0) return { column: named, header: true };
  const width = Math.max(...rows.map((row) => row.length));
  const lengths = Array.from({ length: width }, (_, column) => (
    rows.reduce((sum, row) => sum + (row[column] ?? "").length, 0)
  ));
  return { column: lengths.indexOf(Math.max(...lengths)), header: rows.length > 1 && width > 1 };
}
