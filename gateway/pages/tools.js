// Elements, and calls of the gateway.
export const RETRY_PAUSE = 2000; // milliseconds

export const at = (id) => document.getElementById(id);
export const make = (tag, classes, text) => {
  const element = document.createElement(tag);
  element.className = classes;
  element.textContent = text;
  return element;
};
export const draw = (tag, attributes) => {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
};
export const pause = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });

// What the gateway refuses is an Error with its status; what never reached it, a TypeError.
export async function call(path, options) {
  const response = await fetch(path, options);
  const body = await response.json().catch(() => ({ detail: `${response.status} ${response.statusText}` }));
  if (response.ok) return body;
  const retryAfter = Number(response.headers.get("retry-after") ?? 0) * 1000;
  throw Object.assign(new Error(body.detail), { status: response.status, retryAfter });
}

export const askEmotions = (fields, signal) => call("v1/emotions", {
  method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(fields), signal,
});
