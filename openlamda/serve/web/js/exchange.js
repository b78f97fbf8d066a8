/**
 * A question and its reply on the way. Tells `changed` of every step. Knows no elements.
 */

import * as api from "./api.js";

/** A random id; crypto.randomUUID is not there on plain http. */
function randomId() {
  return [...crypto.getRandomValues(new Uint8Array(16))].map((byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A seed for another reply to the same words. */
export function randomSeed() {
  return crypto.getRandomValues(new Uint32Array(1))[0] >>> 1;
}

export class Exchange {
  /** `question` is {text, parent_id, seed?}. The same request id goes with every try, so that a reply is kept once. */
  constructor(conversationId, question, changed) {
    this.conversationId = conversationId;
    this.question = { ...question, request_id: randomId() };
    this.changed = changed;
    this.error = null;
  }

  get working() {
    return this.state === "working";
  }

  /** Asks, or asks again. Ends with state "done", "stopped" or "failed"; `messages` are the two that were kept. */
  async start() {
    Object.assign(this, { state: "working", stage: null, text: "", error: null, controller: new AbortController() });
    this.changed(this);
    try {
      for await (const { event, data } of api.ask(this.conversationId, this.question, this.controller.signal)) {
        if (event === "stage") this.stage = data;
        if (event === "text") this.text += data.delta;
        if (event === "done") this.keep(data);
        this.changed(this);
      }
    } catch (error) {
      this.state = this.controller.signal.aborted ? "stopped" : "failed";
      this.error = error;
      this.changed(this);
    }
  }

  /** Gives up; the server is told by the closed connection. */
  stop() {
    this.controller.abort();
  }

  keep({ user_message_id: userId, reply }) {
    const { id, message_id: messageId, ...rest } = reply;
    this.state = "done";
    this.messages = [
      { id: userId, parent_id: this.question.parent_id, author: "user", text: this.question.text },
      { ...rest, id: messageId, parent_id: userId, author: "agent", reply_id: id },
    ];
  }
}
