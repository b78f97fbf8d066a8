/**
 * The list of conversations, and the ways to everything else. Arrow keys move in the list.
 */

import * as api from "./api.js";
import { asked, confirmed } from "./dialogs.js";
import { arrowKeys, el, oneLine } from "./dom.js";
import { icon, iconButton } from "./icons.js";
import { notice, toast, words } from "./notices.js";

const UNTITLED = "New conversation";

export class Sidebar {
  /** `app` has go(hash), removed(id), openSettings(). */
  constructor(app) {
    this.app = app;
    this.items = [];
    this.current = null;
    this.list = el("ul", { class: "conversations" });
    arrowKeys(this.list, "a");
    this.older = el("button", { type: "button", class: "plain older", hidden: true, onclick: () => this.load(this.next) }, "Older");
    this.node = el("nav", { "aria-label": "Conversations", class: "nav" },
      el("a", { class: "brand", href: "#/" }, el("img", { src: "/static/icon.svg", alt: "", width: "24", height: "24" }), "openlamda"),
      el("a", { class: "new", href: "#/" }, icon("plus"), "New conversation"),
      el("div", { class: "listed" }, this.list, this.older),
      el("div", { class: "foot" },
        el("a", { href: "#/arena" }, icon("arena"), "Compare two"),
        el("button", { type: "button", onclick: () => app.openSettings() }, icon("settings"), "Settings")));
  }

  /** Reads the list from the server, or the part of it that is older than `before`. */
  async load(before = null) {
    try {
      const { conversations, next } = await api.conversations(before);
      this.items = before ? [...this.items, ...conversations] : conversations;
      this.next = next ?? null;
      this.draw();
    } catch (error) {
      this.list.replaceChildren(el("li", {}, notice(error, () => this.load(before))));
    }
  }

  /** Marks the conversation that is shown. */
  mark(id, arena = false) {
    this.current = id;
    for (const link of this.node.querySelectorAll("a[href^='#/']:not(.brand)")) {
      const here = link.getAttribute("href") === (arena ? "#/arena" : id ? `#/c/${id}` : "#/");
      if (here) link.setAttribute("aria-current", "page");
      else link.removeAttribute("aria-current");
    }
  }

  draw() {
    this.older.hidden = !this.next;
    const at = [...this.list.children].findIndex((line) => line.contains(document.activeElement));
    this.list.replaceChildren(...(this.items.length ? this.items.map((item) => this.line(item))
      : [el("li", { class: "remark" }, "What you talk about is listed here.")]));
    this.mark(this.current, location.hash === "#/arena");
    if (at >= 0) (this.list.children[at] ?? this.list.lastChild).querySelector("a")?.focus(); // who was in the list stays in it
  }

  line(item) {
    const title = oneLine(item.title ?? "") || UNTITLED;
    return el("li", {},
      el("a", { href: `#/c/${item.id}`, title }, title),
      iconButton("edit", `Rename: ${title}`, { class: "tiny", onclick: () => this.rename(item) }),
      iconButton("close", `Delete: ${title}`, { class: "tiny", onclick: () => this.remove(item) }));
  }

  async rename(item) {
    const title = await asked("Rename conversation", "Title", item.title ?? "");
    if (!title || title === item.title) return;
    await this.doing(() => api.rename(item.id, title));
  }

  async remove(item) {
    const sure = await confirmed("Delete this conversation?", `“${oneLine(item.title ?? "") || UNTITLED}” and its replies will be gone for good.`, "Delete");
    if (sure && (await this.doing(() => api.deleteConversation(item.id)))) this.app.removed(item.id);
  }

  async doing(change) {
    try {
      await change();
      await this.load();
      return true;
    } catch (error) {
      toast(words(error));
      return false;
    }
  }
}
