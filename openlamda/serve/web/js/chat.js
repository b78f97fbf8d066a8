/**
 * A conversation on the page: its messages, what is on its way, the message box. Follows lamda's replies by `Exchange`.
 */

import * as api from "./api.js";
import { Composer, forgetDraft } from "./composer.js";
import { announce, el, setChildren } from "./dom.js";
import { Exchange, randomSeed } from "./exchange.js";
import { agentMessage, pendingMessage, userMessage } from "./message.js";
import { notice, toast } from "./notices.js";
import { edits, newestLeaf, path, tries } from "./tree.js";
import { welcome } from "./welcome.js";

export class Chat {
  /** `app` has me, roles, role, pickRole(), opened(conversation), kept(), inspect(replyId). */
  constructor(app) {
    this.app = app;
    this.exchanges = new Map(); // conversation id -> the exchange on its way, whichever conversation is shown
    this.cache = new Map(); // message id -> { key, node }
    this.list = el("ol", { class: "messages" });
    this.scroller = el("div", { class: "scroller", tabindex: "-1" }, this.list);
    this.composer = new Composer({ send: (text) => this.say(text), stop: () => this.stop(), note: app.me.disclosure });
    this.node = el("section", { class: "chat", "aria-label": "Conversation" }, this.scroller, this.composer.node);
    this.conversation = null;
    this.beginning = false; // a conversation is being made for the first words
  }

  get exchange() {
    return this.conversation ? this.exchanges.get(this.conversation.id) : undefined;
  }

  /** Whether the reader has gone elsewhere from the beginning of a conversation. */
  get left() {
    return this.wanted !== null || this.app.view !== this;
  }

  /** Shows a conversation, or the beginning of a new one where `id` is null. */
  async show(id) {
    this.wanted = id;
    if (id && this.conversation?.id === id) return;
    this.cache.clear();
    this.conversation = null;
    this.composer.open(id ?? "new");
    if (!id) return this.draw();
    this.list.replaceChildren(el("li", { class: "remark loading" }, "Loading"));
    try {
      const conversation = await api.conversationOf(id);
      if (this.wanted !== id) return undefined;
      this.conversation = conversation;
      this.leaf = newestLeaf(conversation.messages);
      this.app.opened(conversation);
      return this.draw();
    } catch (error) {
      if (this.wanted !== id) return undefined;
      const again = error.status === 404 ? () => this.app.go("#/") : () => this.show(id);
      return this.list.replaceChildren(el("li", {}, notice(error, again)));
    }
  }

  focus() {
    this.composer.input.focus();
  }

  /** Stops what is on its way. Gives whether anything was. */
  stop() {
    if (!this.exchange?.working) return false;
    this.exchange.stop();
    return true;
  }

  /** Says `text` after the last message shown, in a new conversation where there is none. */
  async say(text) {
    if (this.exchange?.working || this.beginning) return undefined;
    if (this.conversation) return this.ask({ text, parent_id: this.leaf });
    this.beginning = true;
    this.composer.setWorking(true);
    try {
      const conversation = await api.newConversation(this.app.role.id);
      if (this.left) return this.composer.keep("new", text);
      this.conversation = { ...conversation, messages: conversation.messages ?? [] };
    } catch (error) {
      if (this.left) return this.composer.keep("new", text);
      this.composer.fill(text);
      return this.draw(notice(error, () => this.composer.submit()));
    } finally {
      this.beginning = false;
      this.composer.setWorking(Boolean(this.exchange?.working));
    }
    this.wanted = this.conversation.id;
    this.composer.open(this.conversation.id);
    this.app.opened(this.conversation, true);
    return this.ask({ text, parent_id: null });
  }

  ask(question) {
    const exchange = new Exchange(this.conversation.id, question, () => this.follow(exchange));
    this.exchanges.set(this.conversation.id, exchange);
    if (!this.composer.input.value) this.composer.keep(this.conversation.id, question.text);
    this.leaf = question.parent_id;
    this.atEnd = true;
    exchange.start();
  }

  /** A step of an exchange: of the conversation shown, or of one left behind. */
  follow(exchange) {
    const here = this.conversation?.id === exchange.conversationId;
    if (exchange.state === "done") {
      this.exchanges.delete(exchange.conversationId);
      if (here) {
        this.keep(exchange.messages);
        this.composer.changed();
      } else {
        forgetDraft(exchange.conversationId);
      }
      this.app.kept();
    }
    if (!here) return;
    if (exchange.working && this.pending?.exchange === exchange) {
      this.pending.update(exchange);
      if (exchange.stage && !exchange.text) announce(exchange.stage.text);
      this.scrollToEnd();
    } else {
      this.draw();
    }
    if (exchange.state === "done") announce(`Reply: ${exchange.messages[1].text}`);
  }

  keep(messages) {
    const known = new Set(this.conversation.messages.map((message) => message.id));
    this.conversation.messages.push(...messages.filter((message) => !known.has(message.id)));
    this.leaf = messages[1].id;
  }

  /** Draws the messages of the branch shown, and what is on its way or went wrong. */
  draw(trouble = null) {
    const exchange = this.exchange;
    this.composer.setWorking(Boolean(exchange?.working));
    this.node.classList.toggle("empty", !this.conversation);
    if (!this.conversation) {
      this.list.replaceChildren(welcome(this.app, (text) => this.say(text)), trouble ?? "");
      return;
    }
    const { greeting, messages } = this.conversation;
    const items = path(messages, this.leaf).map((message) => this.item(message));
    if (greeting) items.unshift(el("li", { class: "message agent greeting" }, el("div", { class: "text" }, el("p", {}, greeting))));
    this.pending = null;
    if (exchange) items.push(...this.underWay(exchange));
    else if (!messages.length) items.push(el("li", { class: "remark" }, "Nothing was said yet."));
    setChildren(this.list, items);
    this.scrollToEnd();
  }

  /** The question and what is known of its reply: a stage, text, or why there is none. */
  underWay(exchange) {
    const said = userMessage(exchange.question, null, null);
    if (exchange.working) {
      const { item, update } = pendingMessage();
      this.pending = { exchange, update };
      update(exchange);
      return [said, item];
    }
    const again = () => exchange.start();
    const putBack = el("button", { type: "button", class: "plain", onclick: () => this.putBack(exchange) }, "Edit");
    const error = exchange.state === "stopped" ? { message: "Stopped." , status: -1 } : exchange.error;
    return [said, el("li", {}, notice(error, again, [putBack]))];
  }

  putBack(exchange) {
    this.exchanges.delete(exchange.conversationId);
    this.composer.fill(exchange.question.text);
    this.leaf = exchange.question.parent_id ?? newestLeaf(this.conversation.messages);
    this.draw();
    this.focus();
  }

  item(message) {
    const { messages } = this.conversation;
    const variants = message.author === "user" ? edits(messages, message) : tries(messages, message);
    const key = `${variants.at}/${variants.ids.length}`;
    if (this.cache.get(message.id)?.key !== key) {
      const node = message.author === "user" ? this.said(message, variants) : this.replied(message, variants);
      this.cache.set(message.id, { key, node });
    }
    return this.cache.get(message.id).node;
  }

  said(message, variants) {
    return userMessage(message, variants, {
      choose: (id) => this.choose(id),
      edit: (text) => this.resend({ text, parent_id: message.parent_id ?? null }, message.id),
    });
  }

  replied(message, variants) {
    return agentMessage(message, variants, {
      choose: (id) => this.choose(id),
      inspect: () => this.app.inspect(message.reply_id),
      again: () => {
        const question = this.conversation.messages.find((other) => other.id === message.parent_id);
        this.resend({ text: question.text, parent_id: question.parent_id ?? null, seed: randomSeed() });
      },
    });
  }

  /** Asks beside what was asked before; `edited` is the message whose box is done with. */
  resend(question, edited = null) {
    if (this.exchange?.working) return toast("Wait for the reply, or stop it");
    this.cache.delete(edited);
    this.ask(question);
    return this.scroller.focus({ preventScroll: true }); // the button that was pressed is gone
  }

  choose(id) {
    this.leaf = newestLeaf(this.conversation.messages, id);
    this.draw();
    this.cache.get(id)?.node.querySelector(".pager button:not(:disabled)")?.focus();
  }

  /** Keeps the end in view, unless the reader has gone up to read. */
  scrollToEnd() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    if (this.atEnd || scrollHeight - scrollTop - clientHeight < 160) this.scroller.scrollTop = scrollHeight;
    this.atEnd = false;
  }
}
