// Pointer, touch and keys on the viewer's picture and on its words.

/**
 * @typedef {import("./viewer.mjs").Viewer} Viewer
 */

const LONG_PRESS_MS = 450;

/**
 * The pointer on the picture: what is there, and which words say most about it.
 * @param {Viewer} viewer
 */
export function onFrame(viewer) {
  const { frame } = viewer.parts;
  const point = (/** @type {PointerEvent} */ event) => {
    const { left, top, width, height } = frame.getBoundingClientRect();
    const [x, y] = [(event.clientX - left) / width, (event.clientY - top) / height];
    viewer.point(x >= 0 && x < 1 && y >= 0 && y < 1 ? { x, y } : null);
  };
  frame.addEventListener("pointermove", point);
  frame.addEventListener("pointerdown", point);
  frame.addEventListener("pointerleave", () => viewer.point(null));
}

/**
 * Words: pointing shows a word's map, a click pins it, with ctrl, shift, command or a long press it is added.
 * @param {Viewer} viewer
 */
export function onChips(viewer) {
  const { words } = viewer.parts;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let press;
  let pressed = false; // a long press has added the word; the click that ends it does nothing more

  words.addEventListener("pointerover", (event) => {
    if (event.pointerType !== "touch") viewer.hover(indexOf(event.target));
  });
  words.addEventListener("pointerleave", () => viewer.hover(null));
  words.addEventListener("focusin", (event) => {
    const index = indexOf(event.target);
    if (index !== null && /** @type {Element} */ (event.target).matches(":focus-visible")) viewer.hover(index);
  });
  words.addEventListener("focusout", () => viewer.hover(null));

  words.addEventListener("pointerdown", (event) => {
    const index = indexOf(event.target);
    pressed = false;
    if (event.pointerType !== "touch" || index === null) return;
    press = setTimeout(() => {
      pressed = true;
      viewer.choose(index, true);
    }, LONG_PRESS_MS);
  });
  for (const end of ["pointerup", "pointercancel", "pointerleave"]) {
    words.addEventListener(end, () => clearTimeout(press));
  }
  words.addEventListener("contextmenu", (event) => {
    if (pressed) event.preventDefault();
  });

  words.addEventListener("click", (event) => {
    const index = indexOf(event.target);
    if (index === null || pressed) return;
    viewer.choose(index, event.ctrlKey || event.metaKey || event.shiftKey);
  });
  words.addEventListener("keydown", (event) => onKey(viewer, event));
}

/**
 * Arrow keys go from word to word, Escape lets go of all; Enter and space are the button's own click.
 * @param {Viewer} viewer
 * @param {KeyboardEvent} event
 */
function onKey(viewer, event) {
  const index = indexOf(event.target);
  if (index === null) return;
  const indices = [...viewer.chips.keys()];
  const at = indices.indexOf(index);
  /** @type {Record<string, number>} */
  const goes = { ArrowRight: at + 1, ArrowDown: at + 1, ArrowLeft: at - 1, ArrowUp: at - 1, Home: 0, End: Infinity };
  if (event.key === "Escape") {
    viewer.change({ pins: [] });
  } else if ((event.ctrlKey || event.metaKey || event.shiftKey) && event.key === "Enter") {
    viewer.choose(index, true); // browsers make no click of it with ctrl
  } else if (event.key in goes) {
    const to = viewer.chips.get(indices[Math.min(indices.length - 1, Math.max(0, goes[event.key]))]);
    for (const chip of viewer.chips.values()) chip.tabIndex = chip === to ? 0 : -1;
    to?.focus();
  } else {
    return;
  }
  event.preventDefault();
  event.stopPropagation();
}

/**
 * The index of the label that a chip is for.
 * @param {EventTarget | null} target
 */
function indexOf(target) {
  const chip = target instanceof Element ? target.closest(".ap-chip") : null;
  return chip instanceof HTMLElement ? Number(chip.dataset.index) : null;
}
