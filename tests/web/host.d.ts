// What ComfyUI serves beside a pack's files: ../../scripts/*.js, seen from the pack's web folder.
declare module "*/scripts/app.js" {
  export const app: import("@comfyorg/comfyui-frontend-types").ComfyApp;
}

declare module "*/scripts/api.js" {
  import type { ComfyApi } from "@comfyorg/comfyui-frontend-types";

  type OwnMessages = {
    // Messages of a pack have names that ComfyUI's types do not list.
    addEventListener(name: string, listener: (event: CustomEvent) => void): void;
    removeEventListener(name: string, listener: (event: CustomEvent) => void): void;
  };
  export const api: Omit<ComfyApi, "addEventListener" | "removeEventListener"> & OwnMessages;
}
