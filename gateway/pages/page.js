import { showBars, showSentences } from "./drawing.js";
import { setEmotions, showFile, startFile } from "./file.js";
import { forgetSoon, rememberSoon, showHistory, startHistory } from "./history.js";
import { askEmotions, at, call, make, pause, RETRY_PAUSE } from "./tools.js";
import { asPercent, emotionName, EXAMPLES, speak, spoken, words } from "./words.js";

const TYPING_PAUSE = 200; // milliseconds

let served = null; // the answer of /v1/models
let answer = null; // the last answer
let answered = ""; // to which text
let other = null; // the answer of the model that it is compared with
let problem = "";
let timer = 0;
let asking = null;

const find = (name, number) => {
  const versions = served?.models.find((model) => model.model === name)?.versions ?? [];
  return versions.find((version) => version.version === number) ?? versions[0];
};
const version = () => find(at("model").value, answer?.model === at("model").value ? answer.version : undefined);
const otherChoice = () => (at("other").value ? JSON.parse(at("other").value) : null);
const parts = () => (at("by-sentences").checked ? "sentences" : null);

function showWords() {
  const say = words();
  document.documentElement.lang = spoken();
  document.title = say.title;
  for (const element of document.querySelectorAll("[data-say]")) element.textContent = say[element.dataset.say];
  at("text").placeholder = say.placeholder;
  for (const id of ["ru", "en"]) at(id).setAttribute("aria-pressed", String(id === spoken()));
  for (const option of at("profile").options) option.textContent = say.profiles[option.value] ?? option.value;
  if (at("other").options.length) at("other").options[0].textContent = say.none;
}

const shortName = (name) => name.replace(/^emotion_/, "");

function showModels() {
  for (const { model: name, default: chosen } of served.models) {
    const option = make("option", "", shortName(name));
    option.value = name;
    option.selected = chosen;
    at("model").append(option);
  }
  at("other").append(make("option", "", ""), ...served.models.flatMap(({ model: name, versions }) => (
    versions.map(({ version: number }) => {
      const option = make("option", "", `${shortName(name)} ${number}`);
      option.value = JSON.stringify({ model: name, version: number });
      return option;
    })
  )));
  at("other").options[0].value = "";
  showProfiles();
}

function showProfiles() {
  const before = at("profile").value || "balanced";
  at("profile").replaceChildren(...Object.keys(version()?.profiles ?? {}).map((name) => {
    const option = make("option", "", name);
    option.value = name;
    option.selected = name === before;
    return option;
  }));
  showWords();
}

function showAnswers() {
  const labels = served?.labels ?? [];
  const profile = at("profile").value;
  showBars(at("bars"), labels, answer, version()?.profiles[profile]?.thresholds ?? {});
  const choice = otherChoice();
  at("other-answer").hidden = !choice;
  at("models").classList.toggle("two", Boolean(choice));
  if (choice) {
    const thresholds = find(choice.model, choice.version)?.profiles[profile]?.thresholds ?? {};
    showBars(at("other-bars"), labels, other, thresholds);
    at("other-name").textContent = `${shortName(choice.model)} ${choice.version}`;
    at("own-name").textContent = `${shortName(at("model").value)} ${version()?.version ?? ""}`;
  }
  at("own-name").hidden = !choice;
  const several = (answer?.parts?.length ?? 0) > 1;
  at("sentences").hidden = !several;
  if (several) showSentences(at("reading"), answered, answer.parts);
}

function showStatus() {
  const say = words();
  const status = at("status");
  status.classList.toggle("bad", problem !== "");
  if (problem) {
    status.textContent = problem;
  } else if (!answer) {
    status.textContent = say.empty;
  } else {
    const found = answer.emotions.map(emotionName);
    status.textContent = [
      found.length ? `${say.found}: ${found.join(", ")}` : say.nothing,
      `${say.version} ${answer.version}, ${say.tokens}: ${answer.tokens}`,
      ...(answer.parts?.length > 1 ? [`${say.sentences}: ${answer.parts.length}`] : []),
      ...(answer.truncated ? [say.cut] : []),
      ...(answer.known < 1 ? [answer.known ? `${say.known} ${asPercent(answer.known)}` : say.unread] : []),
    ].join(" · ");
  }
}

function show() {
  showWords();
  showAnswers();
  showStatus();
  showHistory();
  showFile();
}

async function askOne(text, model, number, signal) {
  const fields = { text, model, version: number, profile: at("profile").value, parts: parts() };
  const got = await askEmotions(fields, signal);
  return { ...got.results[0], model: got.model, version: got.version };
}

async function ask() {
  asking?.abort();
  forgetSoon();
  asking = new AbortController();
  const { signal } = asking;
  const text = at("text").value;
  if (!text.trim()) {
    [answer, other, problem] = [null, null, ""];
    show();
    return;
  }
  try {
    const choice = otherChoice();
    const [own, others] = await Promise.all([
      askOne(text, at("model").value, null, signal),
      choice && askOne(text, choice.model, choice.version, signal),
    ]);
    [answer, answered, other, problem] = [own, text, others, ""];
    rememberSoon(text, own);
  } catch (error) {
    if (signal.aborted) return;
    problem = error instanceof TypeError ? words().offline : error.message;
    if (error instanceof TypeError) askSoon(RETRY_PAUSE);
  }
  show();
}

function askSoon(milliseconds) {
  clearTimeout(timer);
  timer = setTimeout(ask, milliseconds);
}

function showText(text) {
  at("text").value = text;
  ask();
}

async function start() {
  for (const text of EXAMPLES) {
    const button = make("button", "", text);
    button.type = "button";
    button.lang = "ru";
    button.addEventListener("click", () => showText(text));
    at("examples").append(button);
  }
  for (const id of ["ru", "en"]) at(id).addEventListener("click", () => { speak(id); show(); });
  at("text").addEventListener("input", () => askSoon(TYPING_PAUSE));
  at("model").addEventListener("change", () => { showProfiles(); ask(); });
  for (const id of ["profile", "other", "by-sentences"]) at(id).addEventListener("change", ask);
  startHistory(showText);
  startFile(() => ({ model: at("model").value, profile: at("profile").value, parts: parts() }));
  show();
  for (;;) {
    try {
      served = await call("v1/models");
      if (served.models.length) break;
    } catch (error) {
      problem = error instanceof TypeError ? words().offline : error.message;
      showStatus();
    }
    await pause(RETRY_PAUSE);
  }
  problem = "";
  setEmotions(served.labels);
  showModels();
  show();
  if (at("text").value.trim()) ask();
}

start();
