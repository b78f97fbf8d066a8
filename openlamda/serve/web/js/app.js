/**
 * The page: signs in, puts the parts in their places, and follows the address: #/ is a new conversation, #/c/ID one that
 * is kept, #/arena the comparison.
 */

import * as api from "./api.js";
import { Arena } from "./arena.js";
import { Chat } from "./chat.js";
import { el, oneLine } from "./dom.js";
import { icon, iconButton } from "./icons.js";
import { Inspector } from "./inspector.js";
import { notice } from "./notices.js";
import { Panel } from "./panel.js";
import { chooseRole } from "./roles.js";
import { openSettings } from "./settings.js";
import { Sidebar } from "./sidebar.js";
import { signIn } from "./signin.js";
import { hidePreview } from "./sources.js";

const WIDE = { sidebar: 800, inspector: 1100 };

class App {
  constructor(me, roles) {
    this.me = me;
    this.roles = roles;
    this.role = roles[0] ?? { id: "", name: "openlamda" };
    this.title = el("h1", {}, "New conversation");
    this.with = el("span", { class: "with" });
    this.main = el("main", { id: "main" });
    const side = el("div", { class: "side" });
    const beside = el("div", { class: "beside", hidden: true });
    this.sidebar = new Sidebar(this);
    this.drawer = new Panel(this.sidebar.node, side, { width: WIDE.sidebar, label: "Conversations", kind: "drawer", stays: true });
    this.inspector = new Inspector(() => this.why.hide());
    this.why = new Panel(this.inspector.node, beside, { width: WIDE.inspector, label: "Why this reply", kind: "bottom" });
    const menu = iconButton("menu", "Conversations", { class: "only-narrow", onclick: () => this.drawer.show() });
    const fresh = el("a", { class: "ghost only-narrow", href: "#/", "aria-label": "New conversation" }, icon("plus"));
    this.chat = new Chat(this);
    this.arena = new Arena(me.disclosure);
    const bar = el("header", { class: "top" }, menu, el("div", { class: "titles" }, this.title, this.with), fresh);
    document.getElementById("app").replaceChildren(side, el("div", { class: "middle" }, bar, this.main), beside);
    window.addEventListener("hashchange", () => this.route());
    document.addEventListener("keydown", (event) => this.key(event));
    document.getElementById("skip").addEventListener("click", (event) => {
      event.preventDefault();
      this.view.focus();
    });
  }

  start() {
    this.sidebar.load();
    this.route();
  }

  go(hash) {
    if (location.hash === hash) this.route();
    else location.hash = hash;
  }

  /** Shows what the address names. */
  route() {
    hidePreview();
    this.drawer.hide();
    const arena = location.hash === "#/arena";
    const id = /^#\/c\/([\w-]+)$/.exec(location.hash)?.[1] ?? null;
    if (id !== this.routed) this.why.hide();
    this.routed = id;
    this.view = arena ? this.arena : this.chat;
    if (this.main.firstChild !== this.view.node) this.main.replaceChildren(this.view.node);
    this.sidebar.mark(id, arena);
    if (!id) this.name(arena ? "Compare two" : "New conversation", arena ? "" : this.role.name);
    if (!arena) this.chat.show(id);
    if (this.drawer.wide.matches) this.view.focus();
  }

  name(title, who) {
    this.title.textContent = oneLine(title);
    this.with.textContent = who;
    document.title = `${oneLine(title)} · openlamda`;
  }

  /** A conversation is shown; a new one gets its address. */
  opened(conversation, fresh = false) {
    const role = this.roles.find((one) => one.id === conversation.role);
    this.name(conversation.title || "New conversation", role?.name ?? conversation.role ?? "");
    if (fresh) {
      this.routed = conversation.id;
      history.pushState(null, "", `#/c/${conversation.id}`);
    }
    this.sidebar.mark(conversation.id);
  }

  /** A reply was kept: the list has a new first line, and a new conversation its title. */
  async kept() {
    await this.sidebar.load();
    const shown = this.sidebar.items.find((item) => item.id === this.chat.conversation?.id);
    if (shown && this.view === this.chat) this.opened({ ...this.chat.conversation, title: shown.title });
  }

  removed(id) {
    if (this.chat.conversation?.id === id) this.go("#/");
  }

  async pickRole() {
    const role = await chooseRole(this.roles, this.role);
    if (!role) return;
    this.role = role;
    this.chat.draw();
    this.name("New conversation", role.name);
    this.chat.focus();
  }

  inspect(replyId) {
    this.why.show();
    this.inspector.show(replyId);
  }

  openSettings() {
    this.drawer.hide();
    openSettings(this.me, () => {
      location.hash = "#/";
      location.reload();
    });
  }

  /** Escape takes away the innermost thing: a preview, what is on its way, the inspector. "/" goes to the message box. */
  key(event) {
    if (event.isComposing || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Escape" && !event.defaultPrevented) {
      if (hidePreview() || document.querySelector("dialog:modal") || this.view.stop()) return;
      this.why.hide();
    }
    if (event.key === "/" && !event.target.matches("textarea, input") && !document.querySelector("dialog:modal")) {
      event.preventDefault();
      this.view.focus();
    }
  }
}

async function begin() {
  api.whenSignedOut(signIn);
  try {
    const me = await api.me();
    new App(me, await api.roles()).start();
  } catch (error) {
    document.getElementById("app").replaceChildren(el("main", { class: "alone" }, el("h1", {}, "openlamda"), notice(error, begin)));
  }
}

begin();
