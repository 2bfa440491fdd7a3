// The last texts of this visit, for comparing; they stay in this tab.
import { asPercent, emotionName, words } from "./words.js";
import { at, make } from "./tools.js";

const MOST = 10;
const SETTLED = 1500; // milliseconds without a change, after which a text counts as written
const KEY = "texts";

let entries = (() => { try { return JSON.parse(sessionStorage.getItem(KEY)) ?? []; } catch { return []; } })();
let timer = 0;
let show = () => {};

export function startHistory(showText) {
  show = showText;
  at("forget").addEventListener("click", () => {
    entries = [];
    keep();
    at("text").focus();
  });
  showHistory();
}

export function rememberSoon(text, answer) {
  clearTimeout(timer);
  timer = setTimeout(() => {
    const { model, version, emotions, emotion, label, probability } = answer;
    const entry = { text, model, version, emotions, top: { emotion, label, probability } };
    const same = (other) => other.text === text && other.model === model && other.version === version;
    entries = [entry, ...entries.filter((other) => !same(other))].slice(0, MOST);
    keep();
  }, SETTLED);
}

export const forgetSoon = () => clearTimeout(timer);

function keep() {
  try { sessionStorage.setItem(KEY, JSON.stringify(entries)); } catch { /* a private window may keep nothing */ }
  showHistory();
}

export function showHistory() {
  at("history").hidden = !entries.length;
  at("texts").replaceChildren(...entries.map(({ text, model, version, emotions, top }) => {
    const row = make("li", "", "");
    const button = make("button", "", text.length > 90 ? `${text.slice(0, 90)}…` : text);
    button.type = "button";
    button.title = words().again;
    button.lang = "ru";
    button.addEventListener("click", () => show(text));
    const said = (emotions.length ? emotions : [top]).map(
      (found) => `${emotionName(found)} ${asPercent(found.probability)}`,
    ).join(", ");
    const shown = `${said} · ${model.replace(/^emotion_/, "")} ${version}`;
    row.append(button, make("span", emotions.length ? "found" : "found weak", shown));
    return row;
  }));
}
