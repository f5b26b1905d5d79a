"""Vision-language encoders that ComfyUI itself loaded, read and asked where they lie."""
