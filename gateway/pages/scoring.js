// Scores the rows of a CSV file: a few texts a request, errors by row, until it is done or stopped.
import { askEmotions, pause, RETRY_PAUSE } from "./tools.js";

const TEXTS = 16; // of one request
const TRIES = 5; // of one request that the gateway has no room or no time for

// `told` hears of every row: its number, and its result (with model, version and profile) or its error.
export async function score(texts, options, signal, told) {
  const waiting = [...texts.entries()].filter(([, text]) => text.trim());
  for (let at = 0; at < waiting.length && !signal.aborted; at += TEXTS) {
    await scoreSome(waiting.slice(at, at + TEXTS), options, signal, told);
  }
}

async function scoreSome(rows, options, signal, told) {
  try {
    const answer = await ask({ ...options, texts: rows.map(([, text]) => text) }, signal);
    const { model, version, profile } = answer;
    answer.results.forEach((result, i) => told(rows[i][0], { ...result, model, version, profile }));
  } catch (error) {
    if (signal.aborted) return;
    // One of them may be at fault, or they are too many together.
    if (rows.length > 1 && [413, 422].includes(error.status)) {
      for (const row of rows) if (!signal.aborted) await scoreSome([row], options, signal, told);
      return;
    }
    for (const [row] of rows) told(row, { error: error.message });
  }
}

async function ask(fields, signal) {
  for (let tries = 1; ; tries += 1) {
    try {
      return await askEmotions(fields, signal);
    } catch (error) {
      const lasting = !(error instanceof TypeError) && ![408, 429, 503, 504].includes(error.status);
      if (signal.aborted || lasting || tries === TRIES) throw error;
      await pause(Math.max(error.retryAfter ?? 0, RETRY_PAUSE / 2));
    }
  }
}
