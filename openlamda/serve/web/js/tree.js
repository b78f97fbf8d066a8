/**
 * A conversation is a tree: who edits a message, or asks for another reply, makes a branch. Pure functions over messages
 * {id, parent_id, author, text} in the order in which they were written.
 *
 * Another reply to the same words is stored as the same words said again beside the first. People see it as another
 * reply: `edits` counts different words, `tries` the replies to the same.
 */

/** The messages from the first to `leaf`. */
export function path(messages, leaf) {
  const byId = new Map(messages.map((message) => [message.id, message]));
  const found = [];
  for (let at = byId.get(leaf); at; at = byId.get(at.parent_id)) found.unshift(at);
  return found;
}

/** The newest message below `id`, or of all where `id` is null; null where there is none. */
export function newestLeaf(messages, id = null) {
  let leaf = id;
  for (;;) {
    const below = messages.filter((message) => (message.parent_id ?? null) === leaf);
    if (!below.length) return leaf;
    leaf = below[below.length - 1].id;
  }
}

/** The different words at the place of the user's `message`: one message for each, and which of them this is. */
export function edits(messages, message) {
  const newest = new Map(); // words -> their latest message, in the order in which the words were first said
  for (const other of siblings(messages, message)) newest.set(other.text, other.id);
  return { ids: [...newest.values()], at: [...newest.keys()].indexOf(message.text) };
}

/** The replies to the same words as those that `reply` answers, and which of them this is. */
export function tries(messages, reply) {
  const said = messages.find((message) => message.id === reply.parent_id);
  const same = said ? siblings(messages, said).filter((other) => other.text === said.text).map((other) => other.id) : [];
  const ids = messages.filter((other) => other.author === "agent" && same.includes(other.parent_id)).map((other) => other.id);
  return { ids, at: ids.indexOf(reply.id) };
}

function siblings(messages, message) {
  return messages.filter(
    (other) => other.author === message.author && (other.parent_id ?? null) === (message.parent_id ?? null),
  );
}
