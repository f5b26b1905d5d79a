// The command that copies what an issue needs to know of this machine.
import { api } from "../../../scripts/api.js";
import { app } from "../../../scripts/app.js";
import { make } from "./dom.mjs";

const PATH = "/attention_prompting/report";
const SECONDS = 8;

/** A report that was made but not copied: some browsers let a page copy only for seconds after a click. */
let ready = "";

export const copyReport = {
  id: "attention-prompting.copy-report",
  label: "Attention Prompting: Copy report",
  icon: "pi pi-clipboard",
  function: async () => {
    let report = ready;
    if (!report) {
      const answer = await api.fetchApi(PATH);
      report = await answer.text();
      if (!answer.ok) return tell("error", "The report could not be made", `${answer.status} ${report}`.slice(0, 300));
    }
    if (await copied(report)) {
      ready = "";
      return tell("success", "Report copied", "Paste it into your issue. It holds no key and no name.");
    }
    if (!ready) {
      ready = report;
      return tell("warn", "The report is ready", "This browser copies just after a click only: choose Copy report again.");
    }
    ready = "";
    tell("error", "The report could not be copied", "This browser does not let a page copy. Run: python -m api_core doctor");
  },
};

/**
 * Whether the text is in the clipboard now. Pages that are not served from this machine or by https have no clipboard
 * but that of a selection.
 * @param {string} text
 */
async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const field = make("textarea", { value: text });
    document.body.append(field);
    field.select();
    const done = document.execCommand("copy");
    field.remove();
    return done;
  }
}

/**
 * @param {"success" | "warn" | "error"} severity
 * @param {string} summary
 * @param {string} detail
 */
function tell(severity, summary, detail) {
  app.extensionManager.toast.add({ severity, summary, detail, life: SECONDS * 1000 });
}
