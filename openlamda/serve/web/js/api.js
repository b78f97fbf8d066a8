/**
 * Speaks to the server: one function a call. Gives plain values, or throws ApiError. Knows nothing of the page.
 */

import { events } from "./stream.js";

const OFFLINE = 0;

/** What went wrong, in words for people. `status` is 0 where no answer came; `retryAfter` is in seconds, 0 if unknown. */
export class ApiError extends Error {
  constructor(message, status, retryAfter = 0) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

let signIn = null;

/** Tells what asks for an API key where the server wants one: an async function that resolves once there is a session. */
export function whenSignedOut(ask) {
  signIn = ask;
}

async function request(method, path, { body, signal, retry = true } = {}) {
  const headers = { Accept: "application/json" };
  if (method !== "GET") Object.assign(headers, { "Content-Type": "application/json", "X-Openlamda": "1" });
  let response;
  try {
    response = await fetch(path, {
      method, headers, signal, credentials: "same-origin", body: method === "GET" ? undefined : JSON.stringify(body ?? {}),
    });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new ApiError("The server cannot be reached.", OFFLINE);
  }
  if (response.ok) return response;
  if (response.status === 401 && retry && signIn) {
    await signIn();
    return request(method, path, { body, signal, retry: false });
  }
  throw await failure(response);
}

async function failure(response) {
  let said = "";
  try {
    const body = await response.json();
    said = body.error?.message ?? body.message ?? (typeof body.error === "string" ? body.error : "");
  } catch {
    said = ""; // a proxy's page
  }
  const wait = Number(response.headers.get("Retry-After"));
  return new ApiError(said || `The server answered ${response.status}.`, response.status, wait > 0 ? wait : 0);
}

async function json(method, path, options) {
  const response = await request(method, path, options);
  return response.status === 204 ? null : response.json();
}

/** Yields the events of a call that answers in pieces; an `error` event is thrown, and so is an end without `done`. */
async function* streamed(path, body, signal) {
  const response = await request("POST", path, { body, signal });
  let complete = false;
  try {
    for await (const { event, data } of events(response.body)) {
      if (event === "error") throw new ApiError(data.message, data.status ?? 500, data.retry_after ?? 0);
      complete ||= event === "done";
      yield { event, data };
    }
  } catch (error) {
    if (complete) return; // what comes after is no loss
    if (error.name === "AbortError" || error instanceof ApiError) throw error;
    throw new ApiError("The connection broke before the reply was complete.", OFFLINE);
  }
  if (!complete) throw new ApiError("The connection closed before the reply was complete.", OFFLINE);
}

const conversation = (id) => `/api/conversations/${encodeURIComponent(id)}`;
const reply = (id) => `/api/replies/${encodeURIComponent(id)}`;

export const newSession = (key) => json("POST", "/api/session", { body: key ? { key } : {}, retry: false });
export const me = () => json("GET", "/api/me");
export const deleteMe = () => json("DELETE", "/api/me");
export const EXPORT = "/api/me/export";
export const roles = () => json("GET", "/api/roles");
export const conversations = (before) =>
  json("GET", before ? `/api/conversations?before=${encodeURIComponent(before)}` : "/api/conversations");
export const newConversation = (role) => json("POST", "/api/conversations", { body: { role } });
export const conversationOf = (id) => json("GET", conversation(id));
export const rename = (id, title) => json("PATCH", conversation(id), { body: { title } });
export const deleteConversation = (id) => json("DELETE", conversation(id));
export const ask = (id, question, signal) => streamed(`${conversation(id)}/replies`, question, signal);
export const trace = (id) => json("GET", `${reply(id)}/trace`);
export const feedback = (id, given) => json("PUT", `${reply(id)}/feedback`, { body: given });
export const compare = (text, signal) => streamed("/api/arena", { text }, signal);
export const vote = (id, winner) => json("POST", `/api/arena/${encodeURIComponent(id)}/vote`, { body: { winner } });
