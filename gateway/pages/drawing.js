// Answers, drawn: bars of probabilities, and a text with its sentences marked.
import { asPercent, emotionName, spoken } from "./words.js";
import { draw, make } from "./tools.js";

export function showBars(list, labels, answer, thresholds) {
  list.replaceChildren(...labels.map(({ en, ru }) => {
    const probability = answer?.probabilities[en];
    const threshold = thresholds[en];
    const row = make("li", en, "");
    row.classList.toggle("passes", probability >= threshold);
    const drawing = draw("svg", { viewBox: "0 0 1000 20", preserveAspectRatio: "none", "aria-hidden": "true" });
    drawing.append(
      draw("rect", { class: "fill", width: Math.round((probability ?? 0) * 1000), height: 20 }),
      draw("rect", { class: "threshold", x: Math.min(Math.round(threshold * 1000), 995), width: 5, height: 20 }),
    );
    const track = make("div", "track", "");
    track.append(drawing);
    const name = spoken() === "ru" ? ru : en.replace("_", " ");
    const shown = probability === undefined ? "—" : asPercent(probability);
    row.append(make("span", "name", name), track, make("span", "value", shown));
    return row;
  }));
}

// Said in words behind each sentence too: colours are not for everybody.
export function showSentences(place, text, parts) {
  const signs = Array.from(text); // places count code points, and a string's own index UTF-16 units
  const pieces = [];
  let shown = 0;
  for (const { start, end, emotions } of parts) {
    pieces.push(signs.slice(shown, start).join(""));
    const found = emotions.filter(({ emotion }) => emotion !== "no_emotion");
    const part = make("span", found.length ? `part ${found[0].emotion}` : "part", signs.slice(start, end).join(""));
    if (found.length) {
      const said = found.map((entry) => `${emotionName(entry)} ${asPercent(entry.probability)}`).join(", ");
      const tag = make("span", "tag", ` [${said}]`);
      tag.lang = spoken();
      part.append(tag);
    }
    pieces.push(part);
    shown = end;
  }
  place.replaceChildren(...pieces);
}
