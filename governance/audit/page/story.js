// Draws the result, and what happened in each case. Every word of a package is put in as text, never as markup.
;(() => {
  const $ = id => document.getElementById(id)
  const MEANING = {
    "WITNESSED": ["The log continues a checkpoint that was kept elsewhere: nothing before that was changed since.", "Keep the newer checkpoint too."],
    "SIGNED ONLY": ["The log's key signed this state; no checkpoint that was kept elsewhere was compared.", "Whoever holds the key could have written the log anew. Keep a checkpoint outside, and give it above."],
    "COMPLETE": ["No event of what is named is left out.", "Nothing to do."],
    "PARTIAL": ["Every event here is genuine; that no other fits what was asked for is not shown.", "To be sure that nothing is left out, ask for a package of the whole log, of a system, or of a period."],
    "ERASED WITH RECORD": ["Content is gone, and an event of the log says that it was erased, why, and who approved it.", "Compare the reasons with the erasures that you know of."],
    "MISSING": ["Something that the log speaks of is not here, and no event says that it was erased.", "Do not rely on it. Ask for what is missing, and for the whole log to be verified."],
    "DIVERGED": ["This log and the checkpoint that was kept have different histories.", "Do not rely on it. Keep both as they are: together they prove that history was written anew or cut."],
    "INVALID": ["Something was changed, or is not what it says it is.", "Do not rely on it. The failed checks say where."],
  }
  const OUTCOME = { passed: ["Passed", "green"], failed: ["FAILED", "red"], not_proven: ["Not proven", "orange"], not_checked: ["Not asked for", "quiet"] }
  const MOST_CASES = 500
  let chosen = null, turn = 0

  // An element with a class, and children that are texts or elements.
  function el(tag, cls, ...children) {
    const made = document.createElement(tag)
    if (cls) made.className = cls
    made.append(...children.filter(one => one !== null && one !== undefined && one !== "").map(one => one instanceof Node ? one : clean(one)))
    return made
  }
  // Marks that turn the direction of a text, and controls, are shown as what they are not: one sign.
  const clean = value => String(value).replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/g, "\ufffd")
  const time = at => typeof at === "string" && at.length > 18 ? `${at.slice(0, 10)} ${at.slice(11, 19)} UTC` : ""
  const plain = value => String(value ?? "").replace(/[_.]/g, " ")
  const list = value => Array.isArray(value) ? value : []
  function facts(pairs) {
    const made = el("dl")
    for (const [name, value] of pairs) if (value !== null && value !== undefined && value !== "") made.append(el("dt", "", name), el("dd", "", value))
    return made
  }

  function drawResult(found, file) {
    const at = $("verdict")
    const [words, tone] = found.failed.length ? ["Do not rely on this package", "red"]
      : found.unproven.length ? ["Nothing was changed since it was signed, but not all is proven", "orange"]
      : ["Verified", "green"]
    const results = found.results.map(({ result, of }) => {
      const [meaning, advice] = MEANING[result] || ["", ""]
      return el("li", "", el("strong", ["MISSING", "DIVERGED", "INVALID"].includes(result) ? "red" : "", result), of ? ` of ${of}. ` : ". ", meaning, " ", advice)
    })
    const checks = found.checks.map(check => {
      const [said, colour] = OUTCOME[check.outcome]
      const item = el("li", "", el("strong", colour, said), ` ${check.name}: `, check.detail)
      if (check.places.length > 1) item.append(el("ul", "", ...check.places.slice(1).map(place => el("li", "", place))))
      if (check.failures > check.places.length) item.append(` And ${check.failures - check.places.length} more.`)
      return item
    })
    const manifest = found.manifest, who = manifest && manifest.names ? manifest.names[manifest.made_by] : ""
    at.replaceChildren(el("div", "box", el("h2", tone, words),
      found.failed.length ? el("p", "", `Failed: ${found.failed.join(", ")}.`) : null,
      el("ul", "", ...results),
      found.failed.length || !manifest ? null : facts([
        ["File", file.name], ["From", manifest.origin], ["Made", `${time(manifest.made_at)} by ${who ? `${who} (${manifest.made_by})` : manifest.made_by}`],
        ["Asked for", Object.entries(manifest.filter).filter(([, value]) => value && String(value)).map(([name, value]) => `${name} ${value}`).join(", ") || "the whole log"],
        ["Events", String(found.events)], ["Key", found.key]]),
      (() => { const made = el("details", "", el("summary", "", `${found.checks.length} checks`), el("ol", "", ...checks)); made.open = found.failed.length > 0 || found.unproven.length > 0; return made })(),
      el("p", "quiet", "Each record says what its event states of it. The words of texts, notes and names are as they were exported.")))
    at.hidden = false
  }

  // Sentences of the log about a case.
  function sentence(leaf, who) {
    const by = who(leaf.actor), data = leaf.data
    const words = {
      "call.recorded": () => "The call was recorded", "call.content_added": () => "Content of the call arrived later and was added",
      "decision.made": () => `The policies decided: ${plain(data.action)}`, "case.opened": () => "The case was opened",
      "case.claimed": () => `${by} claimed the case`, "case.released": () => `${by} gave the case back`, "case.escalated": () => `${by} escalated the case`,
      "verdict.given": () => `${by} decided: ${plain(data.outcome)} (${plain(data.reason)})${data.final === false ? "; a second person had to approve" : ""}`,
      "verdict.approved": () => `${by} approved the verdict`, "verdict.returned": () => `${by} returned the verdict`,
      "report.received": () => `${by} reported the answer as wrong`,
      "content.revealed": () => `${by} looked at the original text${data.until ? `, until ${time(data.until)}` : ""}`,
      "content.erased": () => `${by} erased content`, "access.opened": () => `${by} opened it`,
    }
    return (words[leaf.kind] || (() => `${by}: ${plain(leaf.kind)}`))()
  }
  function said(title, text) {
    return typeof text === "string" && text ? el("div", "said", el("b", "", title), text) : null
  }
  function exchange(call) {
    const drawn = []
    for (const one of list(call.input)) drawn.push(said(`Asked (${one.role || "user"})`, one.text))
    for (const one of list(call.documents)) drawn.push(said(`Document ${one.id || ""}`, one.text))
    for (const one of list(call.output)) drawn.push(said(`Answered (${one.role || "assistant"})`, one.text))
    for (const one of list(call.tool_calls)) drawn.push(said(`Tool ${one.name || ""}`, [one.arguments, one.result].filter(Boolean).map(value => typeof value === "string" ? value : JSON.stringify(value)).join("\n")))
    return drawn.filter(Boolean)
  }
  function policies(decision) {
    return list(decision.policies).map(one => el("li", "", el("strong", "", one.title || one.policy || ""), ` (${[one.policy, one.outcome, one.action, one.status].filter(Boolean).join(", ")}) `, one.explanation || ""))
  }

  function drawCases(found) {
    const at = $("cases"), story = found.story, names = found.manifest.names
    const who = reference => names[reference] || { service: "The product", key: "An application", person: "Somebody", operator: "An operator" }[String(reference).split(":")[0]] || reference
    const by = (map, name) => { const made = new Map(); for (const one of map.values()) { const key = String(one[name]); made.set(key, [...(made.get(key) || []), one]) } return made }
    const calls = new Map([...story.calls.values()].map(one => [String(one.id), one]))
    const decisions = by(story.decisions, "call_id"), verdicts = by(story.verdicts, "case_id"), reports = by(story.reports, "case_id")
    const about = new Map()
    const note = (key, entry) => about.set(key, [...(about.get(key) || []), entry])
    for (const entry of story.leaves) {
      const leaf = entry[1], keys = new Set([leaf.subject])
      if (leaf.data.case !== null && leaf.data.case !== undefined) keys.add(`case:${leaf.data.case}`)
      for (const key of keys) if (/^(case|call):/.test(key)) note(key, entry)
    }
    const cases = [...story.cases.values()].sort((a, b) => Number(a.id) - Number(b.id))
    at.replaceChildren(el("h2", "", cases.length ? `${cases.length} ${cases.length === 1 ? "case" : "cases"}` : "No cases in this package"))
    if (cases.length > MOST_CASES) at.append(el("p", "quiet", `The first ${MOST_CASES} are shown.`))
    for (const one of cases.slice(0, MOST_CASES)) {
      const made = el("details", "box case", el("summary", "", `Case ${one.id}: ${one.title || "untitled"} `, el("small", "", [one.system, one.severity, one.state].filter(Boolean).join(" · "))))
      const fill = () => { if (made.dataset.drawn) return; made.dataset.drawn = "1"; made.append(...drawCase(one)) }
      made.addEventListener("toggle", () => { if (made.open) fill() })
      if (cases.length === 1) { made.open = true; fill() }
      at.append(made)
    }
    at.hidden = false
    // Printed, every case is told.
    onbeforeprint = () => { for (const made of at.querySelectorAll("details.case")) { made.open = true; made.dispatchEvent(new Event("toggle")) } }

    function drawCase(one) {
      const call = calls.get(String(one.call_id)), out = []
      out.push(facts([["Opened", time(one.opened_at)], ["Closed", time(one.closed_at)], ["Queue", plain(one.queue)], ["Policy", one.policy],
        ["Call", call ? [call.name, call.model, time(call.started_at)].filter(Boolean).join(" · ") : one.call_id ? "not in this package" : ""]]))
      const texts = call ? exchange(call) : []
      out.push(el("h3", "", "What was asked and answered (redacted)"), ...(texts.length ? texts : [el("p", "quiet", "No text of it is in this package.")]))
      const flagged = (decisions.get(String(one.call_id)) || []).flatMap(policies)
      out.push(el("h3", "", "Which policies flagged it, and why"), flagged.length ? el("ul", "", ...flagged) : el("p", "quiet", "No decision about it is in this package."))
      const given = verdicts.get(String(one.id)) || []
      out.push(el("h3", "", "What people decided"), ...(given.length ? given.map(verdict => el("div", "", facts([
        ["Verdict", `${plain(verdict.outcome)} (${plain(verdict.reason)})`], ["By", `${who(verdict.given_by)}, ${time(verdict.given_at)}`],
        ["Note", verdict.note], ["Approved", verdict.approved_by ? `${who(verdict.approved_by)}, ${time(verdict.approved_at)}` : ""],
        ["Returned", verdict.returned_by ? `${who(verdict.returned_by)}, ${time(verdict.returned_at)}` : ""]]))) : [el("p", "quiet", "Nobody decided it yet.")]))
      const told = reports.get(String(one.id)) || []
      if (told.length) out.push(el("h3", "", "Users' reports"), el("ul", "", ...told.map(report => el("li", "", `${report.reference || report.id}, ${time(report.received_at)} `, report.why || ""))))
      const entries = new Map([...(about.get(`case:${one.id}`) || []), ...(one.call_id ? about.get(`call:${one.call_id}`) || [] : [])])
      const steps = [...entries].sort((a, b) => a[0] - b[0]).map(([seq, leaf]) => el("li", "", el("span", "time", `${time(leaf.at)} `), sentence(leaf, who), el("span", "quiet", ` · entry ${seq}`)))
      out.push(el("h3", "", "What happened, by the log"), el("ol", "", ...steps))
      return out
    }
  }

  async function run() {
    if (!chosen) return
    const mine = ++turn, state = $("state")
    $("verdict").hidden = $("cases").hidden = true
    $("again").disabled = true
    state.textContent = "Reading the package …"
    try {
      const bytes = new Uint8Array(await chosen.arrayBuffer())
      const found = await Verify.verifyPackage(bytes, { key: $("key").value, kept: $("kept").value,
        progress: events => { if (mine === turn) state.textContent = `${events} events checked …` } })
      if (mine !== turn) return
      state.textContent = ""
      drawResult(found, chosen)
      if (!found.failed.length) drawCases(found)
    } catch (error) {
      if (mine === turn) state.textContent = `The package could not be verified here (${clean(error.message || error)}). Use: governance audit verify PACKAGE.zip`
    } finally { if (mine === turn) $("again").disabled = false }
  }
  function take(file) { if (file) { chosen = file; run() } }
  $("file").addEventListener("change", event => { const [file] = event.target.files; event.target.value = ""; take(file) }) // the same name again is a change
  $("again").addEventListener("click", run)
  for (const name of ["dragover", "dragenter"]) document.addEventListener(name, event => { event.preventDefault(); $("drop").classList.add("over") })
  for (const name of ["dragleave", "dragend"]) document.addEventListener(name, () => $("drop").classList.remove("over"))
  document.addEventListener("drop", event => { event.preventDefault(); $("drop").classList.remove("over"); take(event.dataTransfer.files[0]) })
  if (!globalThis.crypto || !crypto.subtle || typeof DecompressionStream === "undefined") {
    $("state").textContent = "This browser cannot verify the package. Use a current one, or: governance audit verify PACKAGE.zip"
    $("file").disabled = true
  }
})()
