"""Server-sent events are read as they were sent, wherever the network cuts them."""

import json
import random

READ = """async (pieces) => {
  const { events } = await import("/static/js/stream.js");
  const body = new ReadableStream({
    start(controller) {
      for (const piece of pieces) controller.enqueue(new Uint8Array(piece));
      controller.close();
    },
  });
  const found = [];
  for await (const { event, data } of events(body)) found.push([event, data]);
  return found;
}"""


def test_events_cut_anywhere(blank):
    rng = random.Random(3)
    sent = [("stage", {"text": "16 drafts"}), ("text", {"delta": "höhe 🏔 \r\n: x"}), ("done", {"reply": {"text": ""}})]
    for end in ("\n", "\r\n", "\r"):
        for _ in range(5):
            lines = [": here" + end * 2]
            lines += [f"event: {name}{end}data: {json.dumps(data, ensure_ascii=False)}{end * 2}" for name, data in sent]
            raw = ("".join(lines) + f"event: cut{end}data: 1").encode()
            cuts = sorted(rng.sample(range(len(raw)), 12))
            pieces = [list(raw[a:b]) for a, b in zip([0, *cuts], [*cuts, len(raw)], strict=True)]
            assert blank.evaluate(READ, pieces) == [[name, data] for name, data in sent]


def test_data_in_several_lines_is_one_value(blank):
    raw = b'event: text\ndata: {"delta":\ndata: "a"}\n\n'
    assert blank.evaluate(READ, [list(raw)]) == [["text", {"delta": "a"}]]
