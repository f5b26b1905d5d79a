// What the modules use of ComfyUI's scripts/app.js; a test puts in place what it needs.
const settings = new Map([["Comfy.Locale", "en"]]);

export const app = {
  extensionManager: {
    setting: {
      get: (name) => settings.get(name),
      set: async (name, value) => void settings.set(name, value),
    },
  },
};
