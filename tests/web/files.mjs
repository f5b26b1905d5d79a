/** A file as nodes/ui_files.py writes it. */
export function fileOf(header, floats) {
  let text = JSON.stringify(header);
  let bytes = new TextEncoder().encode(text);
  while (bytes.length % 4) bytes = new TextEncoder().encode((text += " "));
  const file = new Uint8Array(8 + bytes.length + 4 * floats.length);
  file.set(new TextEncoder().encode("APM1"));
  const view = new DataView(file.buffer);
  view.setUint32(4, bytes.length, true);
  file.set(bytes, 8);
  floats.forEach((value, i) => view.setFloat32(8 + bytes.length + 4 * i, value, true));
  return file.buffer;
}
