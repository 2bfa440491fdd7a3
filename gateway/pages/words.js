// What the page says, in both languages, and the texts it offers.
export const WORDS = {
  ru: {
    title: "Эмоции текста", text: "Текст", model: "Модель", profile: "Профиль", heading: "Вероятности", api: "API",
    legend: "Черта на полосе — порог профиля. Что дошло до порога, выделено.",
    placeholder: "Напишите или вставьте русский текст",
    version: "версия", tokens: "токенов", cut: "текст длиннее, чем читает модель: конец отрезан",
    unread: "модель не знает ни знака этого текста: это не находка", known: "из текста модель знает",
    nothing: "ни одна эмоция не дошла до порога", found: "Найдено", empty: "Напишите что-нибудь.",
    offline: "Шлюз не отвечает. Попробую снова.",
    bySentences: "По предложениям: каждое отдельно, вероятности — среднее по ним",
    sentences: "предложений", reading: "По предложениям", other: "Сравнить с", none: "ни с чем",
    history: "Последние тексты", forget: "Забыть", again: "Показать снова", historyNote: "Хранятся только в этой вкладке.",
    file: "Файл CSV", choose: "Выберите файл CSV или перетащите его сюда", fileNote:
      "До 1000 строк. Файл читает эта страница; шлюзу уходят только тексты. Больше строк — командой make classify.",
    column: "Столбец с текстом", header: "Первая строка — названия", start: "Оценить", cancel: "Остановить",
    download: "Скачать", progress: "Оценено", of: "из", errors: "с ошибкой", stopped: "остановлено", ready: "готово",
    rows: "строк", tooMany: "Строк в файле больше, чем берёт страница:", noRows: "В файле нет ни одной строки.",
    unread_file: "Файл не читается", noText: "в строке нет текста", columnName: "столбец", separator: "разделитель",
    encoding: "кодировка", tab: "табуляция", openQuote: "кавычка не закрыта до конца файла, она открыта в строке",
    notCsv: "Это не текст: сохраните таблицу как CSV.", shownErrors: "Строки с ошибками",
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
    bySentences: "By sentences: each by itself; the probabilities are the means over them",
    sentences: "sentences", reading: "By sentences", other: "Compare with", none: "nothing",
    history: "Last texts", forget: "Forget", again: "Show again", historyNote: "Kept in this tab alone.",
    file: "CSV file", choose: "Choose a CSV file, or drop it here", fileNote:
      "Up to 1,000 rows. This page reads the file; only the texts go to the gateway. For more rows: make classify.",
    column: "Column with the text", header: "The first row has the names", start: "Score", cancel: "Stop",
    download: "Download", progress: "Scored", of: "of", errors: "with an error", stopped: "stopped", ready: "done",
    rows: "rows", tooMany: "The file has more rows than the page takes:", noRows: "The file has no row.",
    unread_file: "The file can't be read", noText: "the row has no text", columnName: "column", separator: "delimiter",
    encoding: "encoding", tab: "tab", openQuote: "a quote is open until the end of the file; it begins in row",
    notCsv: "This is no text: save the table as CSV.", shownErrors: "Rows with errors",
    profiles: {
      balanced: "balanced: best F1", moderation: "moderation: anger must not be missed",
      marketing: "marketing: joy and sadness must be right",
    },
  },
};

export const EXAMPLES = [
  "Как же я рад тебя видеть!", "Мне страшно идти домой одной.", "Опять отключили воду, сколько можно!",
  "Ничего себе, вот это новость!", "Грустно, что лето кончилось.", "Заседание состоится в среду.",
];

const remembered = (() => { try { return localStorage.getItem("language"); } catch { return null; } })();
let language = WORDS[remembered] ? remembered : (navigator.language.startsWith("ru") ? "ru" : "en");

export const spoken = () => language;
export const words = () => WORDS[language];
export function speak(chosen) {
  language = chosen;
  try { localStorage.setItem("language", chosen); } catch { /* a private window may keep nothing */ }
}

export const asPercent = (share) => new Intl.NumberFormat(
  language, { style: "percent", minimumFractionDigits: 1, maximumFractionDigits: 1 },
).format(share);
export const emotionName = ({ emotion, label }) => (language === "ru" ? label : emotion.replace("_", " "));
