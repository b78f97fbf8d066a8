/**
 * What went wrong, said calmly, with what can be done. Takes an ApiError; knows no server.
 */

import { announce, el } from "./dom.js";

const SAID = {
  0: "No connection to the server. What you wrote is kept here.",
  404: "This is not there any more.",
  413: "That message is too long.",
  429: "Many people are asking at this moment.",
  503: "The server cannot answer just now.",
  504: "That took too long, so it was given up.",
};

/** Words for an error: ours where the status says enough, else the server's. */
export function words(error) {
  if (error.status === 0 && !navigator.onLine) return "You are offline. What you wrote is kept here.";
  return SAID[error.status] ?? error.message ?? "Something went wrong.";
}

/** A line that says what happened, with a button that tries again once the server wants it. */
export function notice(error, retry, more = []) {
  const said = words(error);
  const button = el("button", { type: "button", class: "plain", onclick: retry }, "Try again");
  if (error.retryAfter > 0) countDown(button, Math.ceil(error.retryAfter));
  return el("div", { class: "notice" }, el("span", { role: "alert" }, said), el("span", { class: "choices" }, button, more));
}

function countDown(button, seconds) {
  const until = Date.now() + seconds * 1000;
  const tick = () => {
    const left = Math.ceil((until - Date.now()) / 1000);
    button.disabled = left > 0;
    button.textContent = left > 0 ? `Try again in ${left} s` : "Try again";
    if (left > 0) setTimeout(tick, 250);
  };
  tick();
}

/** A few words at the window's foot that go away by themselves. */
export function toast(text) {
  announce(text);
  const node = el("div", { class: "toast", "aria-hidden": "true" }, text);
  document.querySelector(".toast")?.remove();
  (document.querySelector("dialog:modal") ?? document.body).append(node); // a dialog covers the page
  setTimeout(() => node.remove(), 3500);
}
