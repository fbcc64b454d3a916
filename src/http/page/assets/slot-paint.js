// Paints the map of slots on a canvas: a cell a slot in the colour of its shard, the fuller the more it has.

/** The share of colour of a cell with the least that is not nothing; an empty one has the ground's colour. */
const FAINTEST = 0.22;
/** The share of colour of every cell while only owners are shown; every other row of slots is a little paler. */
const OWNED = [0.8, 0.72];

/**
 * Paints the map, and returns the count that a full cell stands for.
 * @param {HTMLCanvasElement} canvas
 * @param {{columns: number, owners: Uint16Array, values: number[]|null, marked: number|null,
 *   style: CSSStyleDeclaration, colourOf: function(number): string}} map `values` is null to show owners only
 * @returns {number}
 */
export function paintSlots(canvas, { columns, owners, values, marked, style, colourOf }) {
  const rows = owners.length / columns;
  const cell = Math.max(1, Math.round((canvas.clientWidth * devicePixelRatio) / columns));
  canvas.width = cell * columns;
  canvas.height = cell * rows;
  const gap = cell >= 3 ? 1 : 0;
  const context = canvas.getContext("2d");
  const ground = style.getPropertyValue("--panel");
  const empty = style.getPropertyValue("--gap-cell");
  context.fillStyle = ground;
  context.fillRect(0, 0, canvas.width, canvas.height);
  const most = values ? values.reduce((most, value) => Math.max(most, value), 1) : 1;
  const colours = new Map();
  owners.forEach((shard, slot) => {
    if (!colours.has(shard)) {
      colours.set(shard, style.getPropertyValue(colourOf(shard)));
    }
    const x = (slot % columns) * cell;
    const y = Math.floor(slot / columns) * cell;
    const share = values ? shareOf(values[slot], most) : OWNED[(slot >> 6) & 1];
    context.globalAlpha = 1;
    context.fillStyle = empty;
    context.fillRect(x, y, cell - gap, cell - gap);
    if (share > 0) {
      context.globalAlpha = share;
      context.fillStyle = colours.get(shard);
      context.fillRect(x, y, cell - gap, cell - gap);
    }
  });
  context.globalAlpha = 1;
  if (marked !== null) {
    paintMark(context, (marked % columns) * cell, Math.floor(marked / columns) * cell, cell, style);
  }
  return most;
}

/** Counts differ by powers, so the share of colour grows with their logarithm. */
function shareOf(value, most) {
  return value > 0 ? FAINTEST + (1 - FAINTEST) * (Math.log1p(value) / Math.log1p(most)) : 0;
}

function paintMark(context, x, y, cell, style) {
  const middle = [x + cell / 2, y + cell / 2];
  for (const [width, colour] of [[5, "--panel"], [2, "--ink"]]) {
    context.lineWidth = width * devicePixelRatio;
    context.strokeStyle = style.getPropertyValue(colour);
    context.beginPath();
    context.arc(...middle, Math.max(cell * 1.5, 8 * devicePixelRatio), 0, 2 * Math.PI);
    context.stroke();
  }
}
