// Reads server-sent events from a response. An EventSource cannot send an API key, so the stream is read with fetch.

/**
 * The events of a stream, each when it is complete.
 * @param {Response} response
 * @returns {AsyncGenerator<{event: string, data: string}>}
 */
export async function* events(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) {
        return;
      }
      text += value.replaceAll("\r\n", "\n");
      const blocks = text.split("\n\n");
      text = blocks.pop();
      yield* blocks.map(parse).filter(({ data }) => data !== "");
    }
  } finally {
    reader.cancel().catch(() => {});
  }
}

/** One event; lines that are comments or of no use here are left out. What has no data is none (HTML, section 9.2.6). */
function parse(block) {
  const found = { event: "message", data: [] };
  for (const line of block.split("\n")) {
    const [, field, value] = /^(\w+): ?(.*)$/.exec(line) ?? [];
    if (field === "event") {
      found.event = value;
    } else if (field === "data") {
      found.data.push(value);
    }
  }
  return { event: found.event, data: found.data.join("\n") };
}
