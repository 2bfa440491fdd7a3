// The part of the page that scores a CSV file.
import { decode, findDelimiter, format, guessColumn, parse } from "./csv.js";
import { score } from "./scoring.js";
import { words } from "./words.js";
import { at, make } from "./tools.js";

const MOST_ROWS = 1000;
const MOST_BYTES = 50 * 1024 * 1024;
const SHOWN_ERRORS = 10;

let table = null; // of the chosen file: name, rows, delimiter, encoding
let results = new Map(); // by row
let running = null; // an AbortController while rows are being scored
let ended = ""; // the word for how it ended: "ready" or "stopped"
let problem = ""; // a word's name, or a sentence
let emotions = [];
let options = () => ({});

export function startFile(readOptions) {
  options = readOptions;
  const drop = at("drop");
  at("file").addEventListener("change", () => choose(at("file").files[0]));
  for (const event of ["dragover", "dragleave", "drop"]) {
    drop.addEventListener(event, (happened) => {
      happened.preventDefault();
      drop.classList.toggle("over", event === "dragover");
      if (event === "drop" && !running) choose(happened.dataTransfer.files[0]);
    });
  }
  at("column").addEventListener("change", restart);
  at("header").addEventListener("change", () => { showColumns(Number(at("column").value)); restart(); });
  at("start").addEventListener("click", start);
  at("cancel").addEventListener("click", () => running?.abort());
  at("download").addEventListener("click", download);
}

export function setEmotions(labels) {
  emotions = labels.map(({ en }) => en);
}

async function choose(file) {
  if (!file) return;
  table = null;
  restart();
  try {
    table = await read(file);
    const { column, header } = guessColumn(table.rows);
    at("header").checked = header;
    showColumns(column);
  } catch (error) {
    problem = error.message;
  }
  showFile();
}

async function read(file) {
  const say = words();
  if (file.size > MOST_BYTES) throw new Error(`${say.tooMany} ${MOST_ROWS}`);
  const bytes = new Uint8Array(await file.arrayBuffer());
  const { text, encoding } = decode(bytes);
  if (text.includes("\0")) throw new Error(say.notCsv);
  const delimiter = findDelimiter(text);
  const { rows, open } = parse(text, delimiter);
  if (open) throw new Error(`${say.unread_file}: ${say.openQuote} ${open}`);
  if (!rows.length) throw new Error(say.noRows);
  if (rows.length > MOST_ROWS + 1) throw new Error(`${say.tooMany} ${rows.length} > ${MOST_ROWS}`);
  return { name: file.name, rows, delimiter, encoding };
}

const body = () => (at("header").checked ? table.rows.slice(1) : table.rows);

function showColumns(chosen) {
  const width = Math.max(...table.rows.map((row) => row.length));
  at("column").replaceChildren(...Array.from({ length: width }, (_, column) => {
    const name = at("header").checked ? table.rows[0][column] : "";
    const option = make("option", "", name || `${words().columnName} ${column + 1}`);
    option.value = column;
    option.selected = column === chosen;
    return option;
  }));
}

function restart() {
  running?.abort();
  results = new Map();
  [ended, problem] = ["", ""];
  showFile();
}

async function start() {
  if (body().length > MOST_ROWS) {
    problem = `${words().tooMany} ${body().length} > ${MOST_ROWS}`;
    showFile();
    return;
  }
  restart();
  const own = new AbortController();
  running = own;
  const column = Number(at("column").value);
  const texts = body().map((row) => row[column] ?? "");
  texts.forEach((text, row) => { if (!text.trim()) results.set(row, { error: words().noText }); });
  showFile();
  await score(texts, options(), own.signal, (row, result) => {
    results.set(row, result);
    showFile();
  });
  if (running !== own) return; // Another file was chosen meanwhile.
  ended = own.signal.aborted ? "stopped" : "ready";
  running = null;
  showFile();
  at("download").focus();
}

export function showFile() {
  const say = words();
  const all = table ? body().length : 0;
  const errors = [...results].filter(([, { error }]) => error).sort(([one], [other]) => one - other);
  at("table").hidden = !table;
  at("start").disabled = Boolean(running);
  at("cancel").disabled = !running;
  at("download").disabled = !results.size || Boolean(running);
  for (const id of ["file", "column", "header"]) at(id).disabled = Boolean(running);
  at("progress").max = all || 1;
  at("progress").value = results.size;
  const said = at("file-status");
  said.classList.toggle("bad", problem !== "");
  said.setAttribute("aria-busy", String(Boolean(running))); // not every row is read out
  said.textContent = problem || (table ? describe(say, all, errors.length) : "");
  at("errors").replaceChildren(...errors.slice(0, SHOWN_ERRORS).map(([row, { error }]) => (
    make("li", "", `${row + 1 + Number(at("header").checked)}: ${error}`)
  )));
  at("errors-heading").hidden = !errors.length;
}

function describe(say, all, errors) {
  const delimiter = table.delimiter === "\t" ? say.tab : table.delimiter;
  const file = `${table.name} · ${all} ${say.rows} · ${say.separator} ${delimiter} · ${say.encoding} ${table.encoding}`;
  if (!results.size && !running) return file;
  const done = `${say.progress} ${results.size} ${say.of} ${all}, ${say.errors} ${errors}`;
  return `${file} · ${done}${ended ? ` · ${say[ended]}` : ""}`;
}

function download() {
  const added = ["emotion", "emotions", ...emotions, "model", "version", "profile", "error"];
  const lines = body().map((row, number) => {
    const { error, ...found } = results.get(number) ?? { error: "" };
    if (error !== undefined) return [...row, ...added.slice(0, -1).map(() => ""), error];
    return [
      ...row, found.emotion, found.emotions.map(({ emotion }) => emotion).join(" "),
      ...emotions.map((emotion) => found.probabilities[emotion]), found.model, found.version, found.profile, "",
    ];
  });
  const width = Math.max(...table.rows.map((row) => row.length));
  const names = at("header").checked ? table.rows[0] : [...at("column").options].map((option) => option.textContent);
  const padded = (row, given) => [...row.slice(0, given), ...Array(width - given).fill(""), ...row.slice(given)];
  const rows = [padded([...names, ...added], names.length), ...lines.map((line, i) => padded(line, body()[i].length))];
  const link = make("a", "", "");
  link.href = URL.createObjectURL(new Blob([format(rows, table.delimiter)], { type: "text/csv;charset=utf-8" }));
  link.download = `${table.name.replace(/\.[^.]*$/, "")}.emotions.csv`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}
