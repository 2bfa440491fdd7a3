"use strict";
// The suspects, the filters over them, and a person's decisions, which become a corrections file.
// Texts are only ever set as textContent. Decisions are kept by text and given labels, so that a
// page made again from other runs still knows them.

const data = JSON.parse(document.getElementById("data").textContent);
const AT_ONCE = 200;
const COLUMNS = ["text", "given", "corrected", "decision", "note", "source", "row"];
const STORE = "emotion-audit";
const element = (id) => document.getElementById(id);
const spaces = (text) => text.normalize("NFC").split(/\s+/u).filter(Boolean).join(" ");
const keyOf = (row) => `${spaces(row.text)}\n${row.given}`;
const onPage = new Map(data.suspects.map((suspect) => [keyOf(suspect), suspect]));
// Served by `python -m training.audit serve`, the file itself is read and written.
const served = location.protocol === "http:";

// By key: what was decided (keep, change, drop or nothing yet), the labels it is changed to, a note; and the row.
let decisions = new Map();
let shown = AT_ONCE;
let waiting = 0;
// What the served file held when it was last read or written, so that another window's decisions are not overwritten.
let version = "";

function remember() {
  report();
  if (served) {
    clearTimeout(waiting);
    waiting = setTimeout(save, 300);
    return;
  }
  try {
    localStorage.setItem(STORE, JSON.stringify([...decisions]));
  } catch (error) {
    say(`this browser keeps nothing (${error.message}): save before you close the page`, true);
  }
}

function recall() {
  try {
    const kept = JSON.parse(localStorage.getItem(STORE) || "[]");
    // Of another data set's audit in the same browser, nothing.
    decisions = new Map(kept.filter(([key]) => onPage.has(key)));
  } catch (error) {
    say(`the decisions kept in this browser cannot be read: ${error.message}`, true);
  }
}

const decisionOf = (suspect) => decisions.get(keyOf(suspect)) || { decision: "", corrected: suspect.suggested, note: "" };

function decide(suspect, changes) {
  const row = { text: suspect.text, given: suspect.given, source: suspect.source, row: suspect.row };
  const now = { ...row, ...decisionOf(suspect), ...changes };
  if (now.decision || now.note) decisions.set(keyOf(suspect), now);
  else decisions.delete(keyOf(suspect));
  remember();
}

// What is wrong with a decision, or nothing.
function problemOf(now) {
  if (now.decision !== "change") return "";
  const labels = now.corrected.split(" ");
  if (!now.corrected) return "choose what it is changed to";
  if (labels.includes("no_emotion") && labels.length > 1) return "no_emotion excludes the others";
  if (now.corrected === now.given) return "these are the given labels: keep them instead";
  return "";
}

// The corrections file: `corrected` is empty where the labels are kept, as training.data.rows.corrections reads it.
function correctionsFile() {
  const cell = (value) => {
    const text = value === null || value === undefined ? "" : String(value);
    return /[",;\r\n]/u.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = [...decisions.values()].map((now) => {
    const corrected = now.decision === "change" ? now.corrected : now.decision === "drop" ? "drop" : "";
    return COLUMNS.map((column) => cell(column === "corrected" ? corrected : now[column])).join(",");
  });
  // With a byte order mark: without one Excel reads UTF-8 as something else.
  return `\ufeff${[COLUMNS.join(","), ...lines].join("\r\n")}\r\n`;
}

function readCsv(content) {
  const header = content.split("\n", 1)[0];
  const delimiter = header.split(";").length > header.split(",").length ? ";" : ",";
  const rows = [[]];
  let cell = "", quoted = false;
  for (let at = content.startsWith("\ufeff") ? 1 : 0; at < content.length; at += 1) {
    const letter = content[at];
    if (quoted) {
      if (letter !== '"') cell += letter;
      else if (content[at + 1] === '"') { cell += '"'; at += 1; } else quoted = false;
    } else if (letter === '"') quoted = true;
    else if (letter === delimiter) { rows.at(-1).push(cell); cell = ""; }
    else if (letter === "\n") { rows.at(-1).push(cell); cell = ""; rows.push([]); }
    else if (letter !== "\r") cell += letter;
  }
  if (cell || rows.at(-1).length) rows.at(-1).push(cell); else rows.pop();
  const names = rows.shift() || [];
  const missing = ["text", "given", "corrected"].filter((name) => !names.includes(name));
  if (missing.length) throw new Error(`it has no column ${missing.join(", ")}`);
  return rows.map((row) => Object.fromEntries(names.map((name, column) => [name, row[column] || ""])));
}

const named = (field) => field.split(/[\s,;]+/u).filter(Boolean).map((label) => label.toLowerCase());
const inOrder = (labels) => [...data.emotions, "none"].filter((emotion) => labels.includes(emotion)).join(" ");

// Decisions of a file take the place of those about the same rows; of rows that are not on the page they are kept.
function read(content) {
  const found = [];
  for (const [number, row] of readCsv(content).entries()) {
    const labels = named(row.corrected);
    const decision = labels[0] === "drop" ? "drop" : labels.length ? "change" : row.decision === "keep" ? "keep" : "";
    const unknown = [...named(row.given), ...(decision === "change" ? labels : [])].filter((label) => !inOrder([label]));
    if (unknown.length) throw new Error(`row ${number + 1} has no label of ours: ${unknown.join(" ")}`);
    const now = { text: row.text, given: inOrder(named(row.given)), corrected: inOrder(labels), decision,
      note: row.note || "", source: row.source || "", row: row.row || "" };
    if (decision || now.note) found.push(now);
  }
  for (const now of found) decisions.set(keyOf(now), now);
  return found.length;
}

function filtered() {
  const [given, suggested, source, doubted, decided] =
    ["given", "suggested", "source", "doubted", "decided"].map((id) => element(id).value);
  const search = element("search").value.toLowerCase();
  return data.suspects.filter((suspect) => {
    const decision = decisionOf(suspect).decision || "undecided";
    return (!given || suspect.given.split(" ").includes(given))
      && (!suggested || suspect.suggested.split(" ").includes(suggested))
      && (!source || suspect.source === source)
      && (!doubted || (doubted === "several" ? suspect.doubted_by.length > 1 : suspect.doubted_by.includes(doubted)))
      && (!decided || decision === decided)
      && suspect.text.toLowerCase().includes(search);
  });
}

function make(name, properties, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

function rowOf(suspect) {
  const row = make("tr", {});
  const problem = make("div", { className: "problem" });
  const boxes = make("div", { className: "labels" });
  const update = () => {
    const now = decisionOf(suspect);
    row.className = now.decision;
    boxes.hidden = now.decision !== "change";
    problem.textContent = problemOf(now);
  };
  const choice = make("select", { ariaLabel: "decision" }, ...["", "keep", "change", "drop"].map((value) =>
    make("option", { value, textContent: { "": "undecided", keep: "keep", change: "change to …", drop: "drop the row" }[value] })));
  choice.value = decisionOf(suspect).decision;
  choice.addEventListener("change", () => { decide(suspect, { decision: choice.value }); update(); });
  for (const emotion of [...data.emotions, "none"]) {
    const box = make("input", { type: "checkbox", value: emotion, checked: decisionOf(suspect).corrected.split(" ").includes(emotion) });
    box.addEventListener("change", () => {
      const labels = [...boxes.querySelectorAll("input")].filter((each) => each.checked).map((each) => each.value);
      decide(suspect, { corrected: inOrder(labels) });
      update();
    });
    boxes.append(make("label", {}, box, ` ${emotion}`));
  }
  const note = make("input", { type: "text", placeholder: "note", value: decisionOf(suspect).note, ariaLabel: "note" });
  note.addEventListener("input", () => decide(suspect, { note: note.value }));
  const place = suspect.row === null ? suspect.source : `${suspect.source}, row ${suspect.row}`;
  row.append(
    make("td", { className: "n", textContent: data.suspects.indexOf(suspect) + 1 }),
    make("td", { className: "text" }, make("div", { textContent: suspect.text }), make("small", { textContent: place })),
    make("td", { textContent: suspect.given }),
    make("td", { textContent: suspect.suggested }),
    make("td", { className: "decision" }, choice, boxes, problem, note),
    make("td", { textContent: suspect.doubted_by.join(", ") }),
    ...data.models.map((model) => {
      const pair = suspect.probabilities[model];
      return make("td", { className: "n", textContent: pair ? `${pair[0].toFixed(2)} → ${pair[1].toFixed(2)}` : "" });
    }),
    make("td", { className: "n", textContent: suspect.quality.toFixed(3) }),
  );
  update();
  return row;
}

function render() {
  const found = filtered();
  element("rows").replaceChildren(...found.slice(0, shown).map(rowOf));
  element("more").hidden = found.length <= shown;
  element("more").textContent = `Show ${Math.min(AT_ONCE, found.length - shown)} more of ${found.length}`;
  report(found.length);
}

function report(found = filtered().length) {
  const counts = { keep: 0, change: 0, drop: 0 };
  for (const now of decisions.values()) if (now.decision) counts[now.decision] += 1;
  const elsewhere = [...decisions.keys()].filter((key) => !onPage.has(key)).length;
  element("count").textContent = `${found} of ${data.suspects.length} rows; decided: ${counts.keep} keep, `
    + `${counts.change} change, ${counts.drop} drop${elsewhere ? `; ${elsewhere} of the loaded rows are not on this page` : ""}`;
}

function say(text, wrong = false) {
  element("message").textContent = text;
  element("message").className = wrong ? "problem" : "";
}

async function save() {
  const wrong = [...decisions.values()].filter(problemOf);
  if (wrong.length) {
    say(`not saved: ${wrong.length} decision(s) are not complete; the first: ${wrong[0].text} (${problemOf(wrong[0])})`, true);
    return;
  }
  if (!served) {
    const link = make("a", { href: URL.createObjectURL(new Blob([correctionsFile()], { type: "text/csv" })), download: "corrections.csv" });
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 60000);
    say("corrections.csv is among your downloads");
    return;
  }
  try {
    const headers = { "if-match": version };
    const answer = await fetch("corrections.csv", { method: "PUT", headers, body: correctionsFile() });
    if (answer.ok) version = answer.headers.get("etag");
    say(await answer.text(), !answer.ok);
  } catch (error) {
    say(`not saved: ${error.message}; is the command still running?`, true);
  }
}

function options(id, values) {
  element(id).append(make("option", { value: "", textContent: "all" }), ...values.map((value) =>
    make("option", { value, textContent: value })));
  element(id).addEventListener("change", () => { shown = AT_ONCE; render(); });
}

async function start() {
  const sources = [...new Set(data.suspects.map((suspect) => suspect.source))].sort();
  options("given", data.emotions);
  options("suggested", data.emotions);
  options("source", sources);
  options("doubted", [...data.models, ...(data.models.length > 1 ? ["several"] : [])]);
  options("decided", ["undecided", "keep", "change", "drop"]);
  element("search").addEventListener("input", () => { shown = AT_ONCE; render(); });
  element("more").addEventListener("click", () => { shown += AT_ONCE; render(); });
  element("save").addEventListener("click", save);
  element("load").addEventListener("change", async (event) => {
    const [file] = event.target.files;
    if (!file) return;
    try {
      say(`${read(await file.text())} decisions are read from ${file.name}`);
      remember();
      render();
    } catch (error) {
      say(`${file.name} cannot be read: ${error.message}`, true);
    }
  });
  if (served) {
    const answer = await fetch("corrections.csv");
    version = answer.headers.get("etag");
    read(await answer.text());
  } else recall();
  render();
}

start();
