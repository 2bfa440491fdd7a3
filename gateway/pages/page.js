"use strict";

const WORDS = {
  ru: {
    title: "Эмоции текста", text: "Текст", model: "Модель", profile: "Профиль", heading: "Вероятности", api: "API",
    legend: "Черта на полосе — порог профиля. Что дошло до порога, выделено.",
    placeholder: "Напишите или вставьте русский текст",
    version: "версия", tokens: "токенов", cut: "текст длиннее, чем читает модель: конец отрезан",
    unread: "модель не знает ни знака этого текста: это не находка", known: "из текста модель знает",
    nothing: "ни одна эмоция не дошла до порога", found: "Найдено", empty: "Напишите что-нибудь.",
    offline: "Шлюз не отвечает. Попробую снова.",
    profiles: {
      balanced: "сбалансированный: лучшая F1", moderation: "модерация: не пропустить злость",
      marketing: "маркетинг: радость и грусть без ошибок",
    },
  },
  en: {
    title: "Emotions of a text", text: "Text (Russian)", model: "Model", profile: "Profile", heading: "Probabilities",
    api: "API", legend: "The mark on a bar is the profile's threshold. What reaches it is highlighted.",
    placeholder: "Type or paste a Russian text",
    version: "version", tokens: "tokens", cut: "the text is longer than the model reads: its end is cut off",
    unread: "the model knows nothing of this text: this is no finding", known: "of the text the model knows",
    nothing: "no emotion reaches its threshold", found: "Found", empty: "Type something.",
    offline: "The gateway does not answer. Trying again.",
    profiles: {
      balanced: "balanced: best F1", moderation: "moderation: anger must not be missed",
      marketing: "marketing: joy and sadness must be right",
    },
  },
};
const EXAMPLES = [
  "Как же я рад тебя видеть!", "Мне страшно идти домой одной.", "Опять отключили воду, сколько можно!",
  "Ничего себе, вот это новость!", "Грустно, что лето кончилось.", "Заседание состоится в среду.",
];
const TYPING_PAUSE = 200; // milliseconds
const RETRY_PAUSE = 2000;

const at = (id) => document.getElementById(id);
const make = (tag, classes, text) => {
  const element = document.createElement(tag);
  element.className = classes;
  element.textContent = text;
  return element;
};
const draw = (tag, attributes) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
};

const remembered = (() => { try { return localStorage.getItem("language"); } catch { return null; } })();
let language = remembered ?? (navigator.language.startsWith("ru") ? "ru" : "en");
let served = null; // the answer of /v1/models
let answer = null; // the last answer, and what it was asked for
let problem = "";
let timer = 0;
let asking = null;

const version = () => served?.models.find((model) => model.model === at("model").value)?.versions[0];

function showWords() {
  const words = WORDS[language];
  document.documentElement.lang = language;
  document.title = words.title;
  for (const element of document.querySelectorAll("[data-say]")) element.textContent = words[element.dataset.say];
  at("text").placeholder = words.placeholder;
  for (const id of ["ru", "en"]) at(id).setAttribute("aria-pressed", String(id === language));
  for (const option of at("profile").options) option.textContent = words.profiles[option.value] ?? option.value;
}

function showModels() {
  const model = at("model");
  for (const { model: name, default: chosen } of served.models) {
    const option = make("option", "", name.replace(/^emotion_/, ""));
    option.value = name;
    option.selected = chosen;
    model.append(option);
  }
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

const asPercent = (share) => new Intl.NumberFormat(
  language, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 },
).format(share);

function showBars() {
  const thresholds = version()?.profiles[at("profile").value]?.thresholds ?? {};
  at("bars").replaceChildren(...(served?.labels ?? []).map(({ en, ru }) => {
    const probability = answer?.probabilities[en];
    const threshold = thresholds[en];
    const name = language === "ru" ? ru : en.replace("_", " ");
    const shown = probability === undefined ? "—" : asPercent(probability);
    const row = make("li", en, "");
    row.classList.toggle("passes", probability >= threshold);
    const drawing = draw("svg", { viewBox: "0 0 1000 20", preserveAspectRatio: "none", "aria-hidden": "true" });
    drawing.append(
      draw("rect", { class: "fill", width: Math.round((probability ?? 0) * 1000), height: 20 }),
      draw("rect", { class: "threshold", x: Math.min(Math.round(threshold * 1000), 995), width: 5, height: 20 }),
    );
    const track = make("div", "track", "");
    track.append(drawing);
    row.append(make("span", "name", name), track, make("span", "value", shown));
    return row;
  }));
}

function showStatus() {
  const words = WORDS[language];
  const status = at("status");
  status.classList.toggle("bad", problem !== "");
  if (problem) {
    status.textContent = problem;
  } else if (!answer) {
    status.textContent = words.empty;
  } else {
    const found = answer.emotions.map((entry) => (language === "ru" ? entry.label : entry.emotion.replace("_", " ")));
    status.textContent = [
      found.length ? `${words.found}: ${found.join(", ")}` : words.nothing,
      `${words.version} ${answer.version}, ${words.tokens}: ${answer.tokens}`,
      ...(answer.truncated ? [words.cut] : []),
      ...(answer.known < 1 ? [answer.known ? `${words.known} ${asPercent(answer.known)}` : words.unread] : []),
    ].join(" · ");
  }
}

function show() {
  showWords();
  showBars();
  showStatus();
}

async function call(path, options) {
  const response = await fetch(path, options);
  const body = await response.json();
  if (!response.ok) throw new Error(body.detail);
  return body;
}

async function ask() {
  asking?.abort();
  asking = new AbortController();
  const { signal } = asking;
  const text = at("text").value;
  if (!text.trim()) {
    [answer, problem] = [null, ""];
    show();
    return;
  }
  try {
    const body = JSON.stringify({ text, model: at("model").value, profile: at("profile").value });
    const headers = { "content-type": "application/json" };
    const got = await call("v1/emotions", { method: "POST", headers, body, signal });
    [answer, problem] = [{ ...got.results[0], version: got.version }, ""];
  } catch (error) {
    if (signal.aborted) return;
    problem = error instanceof TypeError ? WORDS[language].offline : error.message;
    if (error instanceof TypeError) askSoon(RETRY_PAUSE);
  }
  show();
}

function askSoon(pause) {
  clearTimeout(timer);
  timer = setTimeout(ask, pause);
}

async function start() {
  for (const text of EXAMPLES) {
    const button = make("button", "", text);
    button.type = "button";
    button.lang = "ru";
    button.addEventListener("click", () => {
      at("text").value = text;
      ask();
    });
    at("examples").append(button);
  }
  for (const id of ["ru", "en"]) {
    at(id).addEventListener("click", () => {
      language = id;
      try { localStorage.setItem("language", id); } catch { /* a private window may keep nothing */ }
      show();
    });
  }
  at("text").addEventListener("input", () => askSoon(TYPING_PAUSE));
  at("model").addEventListener("change", () => { showProfiles(); ask(); });
  at("profile").addEventListener("change", ask);
  show();
  for (;;) {
    try {
      served = await call("v1/models");
      if (served.models.length) break;
    } catch (error) {
      problem = error instanceof TypeError ? WORDS[language].offline : error.message;
      showStatus();
    }
    await new Promise((resolve) => { setTimeout(resolve, RETRY_PAUSE); });
  }
  problem = "";
  showModels();
  show();
  if (at("text").value.trim()) ask();
}

start();
