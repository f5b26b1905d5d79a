// What the modules use of ComfyUI's scripts/api.js.
export const api = new EventTarget();
