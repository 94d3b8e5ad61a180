// Verifies an evidence package (`governance-evidence/v2`) in the browser: the same checks, in the same order and with
// the same result names, as governance/audit/verify_v2.py. docs/audit.md says each rule in words. Needs no network.
"use strict"
const Verify = (() => {
  const subtle = globalThis.crypto && globalThis.crypto.subtle
  const utf8 = new TextEncoder()
  const LARGEST_TOTAL = 2 ** 30 // what is unpacked is held in memory
  const LARGEST_LINE = 2 ** 26
  const MOST_MEMBERS = 64
  const MOST_PLACES = 10
  const RECORDS = {
    "call.recorded": ["calls", "call"],
    "decision.made": ["decisions", "decision"],
    "case.opened": ["cases", "case"],
    "verdict.given": ["verdicts", "verdict"],
    "report.received": ["reports", "report"],
  }
  // Checks whose failure has a result of its own.
  const SHOWN_APART = ["sequence", "streams", "completeness", "continuity", "records"]
  const NOTHING = "No event of the log fits what was asked for, but for the entry about this export where that fits."

  class Wrong extends Error {}
  class Stop extends Error {}
  const wrong = words => { throw new Wrong(words) }

  // Bytes, hashes, base64.

  const sha256 = async bytes => new Uint8Array(await subtle.digest("SHA-256", bytes))
  const hex = bytes => Array.from(bytes, one => one.toString(16).padStart(2, "0")).join("")
  const text = bytes => new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes)
  const same = (a, b) => a.length === b.length && a.every((one, i) => one === b[i])
  function joined(...parts) {
    const all = new Uint8Array(parts.reduce((sum, one) => sum + one.length, 0))
    let at = 0
    for (const one of parts) { all.set(one, at); at += one.length }
    return all
  }
  function decode(given) {
    if (typeof given !== "string" || !/^[A-Za-z0-9+/]*={0,2}$/.test(given) || given.length % 4) wrong("Not base64.")
    let raw
    try { raw = Uint8Array.from(atob(given), one => one.charCodeAt(0)) } catch { wrong("Not base64.") }
    if (encode(raw) !== given) wrong("Not base64 in its canonical form.")
    return raw
  }
  const encode = bytes => btoa(Array.from(bytes, one => String.fromCharCode(one)).join(""))
  function decodeHash(given) {
    const raw = decode(given)
    if (raw.length !== 32) wrong("A hash is not 32 bytes long.")
    return raw
  }
  const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
    for (let k = 0; k < 8; k++) n = n & 1 ? 0xedb88320 ^ (n >>> 1) : n >>> 1
    return n
  })
  function crc32(bytes) {
    let crc = 0xffffffff
    for (const one of bytes) crc = CRC[(crc ^ one) & 255] ^ (crc >>> 8)
    return (crc ^ 0xffffffff) >>> 0
  }

  // Python's order of texts is that of code points; sort() of JavaScript that of UTF-16.
  function byPoints(a, b) {
    const left = Array.from(a, one => one.codePointAt(0)), right = Array.from(b, one => one.codePointAt(0))
    for (let i = 0; i < Math.min(left.length, right.length); i++) if (left[i] !== right[i]) return left[i] - right[i]
    return left.length - right.length
  }
  function equal(a, b) {
    if (a === b) return true
    if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false
    if (Array.isArray(a) !== Array.isArray(b)) return false
    const left = Object.keys(a), right = Object.keys(b)
    return left.length === right.length && left.every(key => Object.hasOwn(b, key) && equal(a[key], b[key]))
  }
  const object = value => typeof value === "object" && value !== null && !Array.isArray(value)
  const has = (value, name) => Object.hasOwn(value, name)
  const said = value => value === null || value === undefined ? "None" : value === true ? "True"
    : value === false ? "False" : typeof value === "object" ? JSON.stringify(value) : String(value)

  // Ed25519: the browser's, or our own where it has none.

  async function signed(publicKey, signature, message, own) {
    if (signature.length !== 64) return false
    if (!own) {
      try {
        const key = await subtle.importKey("raw", publicKey, { name: "Ed25519" }, false, ["verify"])
        return await subtle.verify({ name: "Ed25519" }, key, signature, message)
      } catch (error) {
        if (error.name !== "NotSupportedError" && error.name !== "OperationError") return false
      }
    }
    return ownEd25519(publicKey, signature, message)
  }
  // RFC 8032, section 5.1.7, with extended coordinates. Slow, and only about public values.
  const P = 2n ** 255n - 19n
  const ORDER = 2n ** 252n + 27742317777372353535851937790883648493n
  const mod = n => ((n % P) + P) % P
  function power(base, exponent) {
    let result = 1n
    for (base = mod(base); exponent > 0n; exponent >>= 1n) {
      if (exponent & 1n) result = result * base % P
      base = base * base % P
    }
    return result
  }
  const D = mod(-121665n * power(121666n, P - 2n))
  const ROOT = power(2n, (P - 1n) / 4n)
  const little = bytes => bytes.reduceRight((sum, one) => (sum << 8n) | BigInt(one), 0n)
  function point(bytes) {
    const raw = little(bytes), y = raw & ((1n << 255n) - 1n), sign = raw >> 255n
    if (y >= P) return null
    const above = mod(y * y - 1n), below = mod(D * y * y + 1n)
    let x = above * power(below, 3n) % P * power(above * power(below, 7n), (P - 5n) / 8n) % P
    if (mod(below * x * x) !== above) x = x * ROOT % P
    if (mod(below * x * x) !== above || (x === 0n && sign)) return null
    if ((x & 1n) !== sign) x = P - x
    return [x, y, 1n, mod(x * y)]
  }
  function plus([a, b, c, d], [e, f, g, h]) {
    const m = mod((b - a) * (f - e)), n = mod((b + a) * (f + e)), o = mod(2n * d * h * D), p = mod(2n * c * g)
    const q = n - m, r = p - o, s = p + o, t = n + m
    return [mod(q * r), mod(s * t), mod(r * s), mod(q * t)]
  }
  function times(scalar, one) {
    let result = [0n, 1n, 1n, 0n]
    for (; scalar > 0n; scalar >>= 1n) { if (scalar & 1n) result = plus(result, one); one = plus(one, one) }
    return result
  }
  const BASE = point(Uint8Array.from([0x58, ...Array(31).fill(0x66)]))
  async function ownEd25519(publicKey, signature, message) {
    const key = point(publicKey), first = signature.slice(0, 32), scalar = little(signature.slice(32))
    const start = point(first)
    if (!key || !start || scalar >= ORDER) return false
    const digest = new Uint8Array(await subtle.digest("SHA-512", joined(first, publicKey, message)))
    const [a, b, c] = times(scalar, BASE), [e, f, g] = plus(start, times(little(digest) % ORDER, key))
    return mod(a * g) === mod(e * c) && mod(b * g) === mod(f * c)
  }

  // Signed notes, keys and checkpoints (C2SP).

  const nameOf = name => name && !/[+\s\x00-\x1f]/.test(name) ? name : wrong("A log's name must not be empty or contain spaces or plus signs.")
  function split(note) {
    const middle = note.lastIndexOf("\n\n")
    if (note.length > 1000000) wrong("The note is too long.")
    if (middle < 0 || !note.endsWith("\n")) wrong("This is not a signed note.")
    const body = note.slice(0, middle + 1)
    if (/[\x00-\x09\x0b-\x1f]/.test(body)) wrong("A note's text must contain no control characters.")
    const signatures = note.slice(middle + 2, -1).split("\n").map(line => {
      const parts = line.split(" ")
      if (parts.length !== 3 || parts[0] !== "\u2014") wrong("The note has a malformed signature line.")
      const raw = decode(parts[2])
      if (raw.length < 5) wrong("The note has a signature that is too short.")
      return [nameOf(parts[1]), raw.slice(0, 4), raw.slice(4)]
    })
    return [body, signatures]
  }
  async function makeKey(name, publicKey) {
    const id = (await sha256(joined(utf8.encode(`${nameOf(name)}\n`), [1], publicKey))).slice(0, 4)
    const line = `${name}+${hex(id)}+${encode(joined([1], publicKey))}`
    const der = joined([0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0], publicKey)
    return { name, publicKey, id, line, pem: `-----BEGIN PUBLIC KEY-----\n${encode(der)}\n-----END PUBLIC KEY-----\n` }
  }
  async function parseKey(given, name) {
    given = given.trim()
    if (given.startsWith("-----BEGIN")) {
      const der = decode(given.replace(/-----[A-Z ]+-----/g, "").replace(/\s/g, ""))
      if (der.length !== 44 || hex(der.slice(0, 12)) !== "302a300506032b6570032100") wrong("The key is not an Ed25519 key.")
      return makeKey(name, der.slice(12))
    }
    const first = given.indexOf("+"), second = given.indexOf("+", first + 1)
    if (first < 0 || second < 0) wrong("This is not a key of a log.")
    const raw = decode(given.slice(second + 1))
    if (raw.length !== 33 || raw[0] !== 1) wrong("The key is not an Ed25519 key.")
    const key = await makeKey(given.slice(0, first), raw.slice(1))
    if (hex(key.id) !== given.slice(first + 1, second)) wrong("The key does not fit its own key id: it was copied with a mistake.")
    return key
  }
  async function openNote(note, key, own) {
    const [body, signatures] = split(note)
    let found = false
    for (const [name, id, signature] of signatures) {
      if (name !== key.name || !same(id, key.id)) continue
      if (!await signed(key.publicKey, signature, utf8.encode(body), own)) wrong(`The signature of ${key.name} is not valid.`)
      found = true
    }
    if (!found) wrong(`The note is not signed by ${key.name} with key ${hex(key.id)}.`)
    return body
  }
  async function openCheckpoint(note, key, own) {
    const lines = (await openNote(note, key, own)).split("\n")
    if (lines.length < 4 || lines.pop() !== "" || lines.some(one => !one)) wrong("This is not a checkpoint: it needs an origin, a size and a root.")
    if (!/^(0|[1-9][0-9]{0,15})$/.test(lines[1])) wrong("The checkpoint's size is not a number.")
    if (lines[0] !== key.name) wrong(`The checkpoint is of ${lines[0]}, not of ${key.name}.`)
    return { origin: lines[0], size: Number(lines[1]), root: decodeHash(lines[2]) }
  }

  // The archive: exactly one form for given contents (governance/audit/archive.py).

  const NAME = /^(?:[a-z]{1,20}\/)?[A-Za-z][A-Za-z0-9_-]{0,40}\.[a-z]{1,8}$/
  function pack(...fields) { // [bytes, value] pairs, little-endian
    const out = []
    for (const [width, value] of fields) for (let i = 0; i < width; i++) out.push(Math.floor(value / 2 ** (8 * i)) % 256)
    return Uint8Array.from(out)
  }
  const local = m => joined(pack([4, 0x04034b50], [2, 20], [2, 0], [2, m.method], [2, 0], [2, 0x21], [4, m.crc], [4, m.packed],
    [4, m.size], [2, m.name.length], [2, 0]), utf8.encode(m.name))
  const central = m => joined(pack([4, 0x02014b50], [2, 768 + 20], [2, 20], [2, 0], [2, m.method], [2, 0], [2, 0x21], [4, m.crc],
    [4, m.packed], [4, m.size], [2, m.name.length], [2, 0], [2, 0], [2, 0], [2, 0], [4, 0o100644 * 65536],
    [4, m.at - 30 - m.name.length]), utf8.encode(m.name))
  function openArchive(bytes) {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const members = new Map()
    let at = 0, total = 0
    if (bytes.length < 22 || view.getUint32(0, true) !== 0x04034b50) wrong("This is not an evidence package: it is not a ZIP file of such a form.")
    while (at + 30 <= bytes.length && view.getUint32(at, true) === 0x04034b50) {
      const length = view.getUint16(at + 26, true)
      const raw = bytes.subarray(at + 30, at + 30 + length)
      const name = Array.from(raw, one => String.fromCharCode(one)).join("")
      const m = { name, method: view.getUint16(at + 8, true), crc: view.getUint32(at + 14, true),
        packed: view.getUint32(at + 18, true), size: view.getUint32(at + 22, true), at: at + 30 + length }
      if (!NAME.test(name) || (m.method !== 0 && m.method !== 8)) wrong(`The package is damaged at byte ${at}: no member of a package begins like this.`)
      const header = bytes.subarray(at, m.at)
      if (!same(local(m), header) || members.has(name) || m.at + m.packed > bytes.length) wrong(`The package is damaged at byte ${at}, in the header of ${name}.`)
      total += m.size
      if (total > LARGEST_TOTAL || members.size >= MOST_MEMBERS) wrong("The package is too large for a browser: use governance audit verify.")
      members.set(name, m)
      at = m.at + m.packed
    }
    const directory = joined(...Array.from(members.values(), central))
    const tail = joined(directory, pack([4, 0x06054b50], [2, 0], [2, 0], [2, members.size], [2, members.size],
      [4, directory.length], [4, at], [2, 0]))
    if (!same(tail, bytes.subarray(at))) wrong(`The package is damaged at byte ${at} or after, in its directory.`)
    return { bytes, members }
  }
  const packedBytes = (archive, name) => {
    const m = archive.members.get(name) || wrong(`The package has no ${name}.`)
    return archive.bytes.subarray(m.at, m.at + m.packed)
  }
  async function unpacked(archive, name) {
    const m = archive.members.get(name) || wrong(`The package has no ${name}.`)
    const packed = packedBytes(archive, name)
    let plain = packed
    if (m.method === 8) {
      plain = new Uint8Array(m.size)
      let at = 0
      try {
        const reader = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate-raw")).getReader()
        for (;;) {
          const { done, value } = await reader.read()
          if (done) break
          if (at + value.length > m.size) { await reader.cancel(); wrong(`${name} is longer than its header says.`) }
          plain.set(value, at)
          at += value.length
        }
      } catch (error) {
        if (error instanceof Wrong) throw error
        wrong(`${name} cannot be unpacked.`)
      }
      if (at !== m.size) wrong(`${name} is not what its checksum says.`)
    }
    if (plain.length !== m.size || crc32(plain) !== m.crc) wrong(`${name} is not what its checksum says.`)
    return plain
  }
  function* lines(bytes, name) {
    for (let at = 0; at < bytes.length;) {
      const end = bytes.indexOf(10, at)
      if (end < 0) wrong(`${name} does not end with a newline.`)
      if (end - at > LARGEST_LINE) wrong(`${name} has a line longer than it may be.`)
      yield bytes.subarray(at, end)
      at = end + 1
    }
  }

  // The tree (RFC 6962).

  const leafHash = leaf => sha256(joined([0], leaf))
  const nodeHash = (left, right) => sha256(joined([1], left, right))
  class Frontier {
    size = 0
    roots = []
    async add(hash, level = 0) {
      const width = 2 ** level
      if (this.size % width) wrong(`No subtree of ${width} leaves can stand at ${this.size}.`)
      this.size += width
      while (this.roots.length && this.roots.at(-1)[0] === level) {
        hash = await nodeHash(this.roots.pop()[1], hash)
        level++
      }
      this.roots.push([level, hash])
    }
    async root() {
      let result = null
      for (const [, one] of this.roots.slice().reverse()) result = result ? await nodeHash(one, result) : one
      return result || sha256(new Uint8Array())
    }
  }
  // Places may be beyond 32 bits: halves by division.
  const odd = n => n % 2 === 1, half = n => Math.floor(n / 2)
  async function checkInclusion(hash, index, size, proof, root) {
    if (!Number.isSafeInteger(index) || !(index >= 0 && index < size)) wrong(`Leaf ${index} is not in a tree of ${size}.`)
    let place = index, last = size - 1
    for (const sibling of proof) {
      if (last === 0) wrong(`The proof of leaf ${index} is too long.`)
      if (odd(place) || place === last) {
        hash = await nodeHash(sibling, hash)
        while (!odd(place) && place) { place = half(place); last = half(last) }
      } else hash = await nodeHash(hash, sibling)
      place = half(place); last = half(last)
    }
    if (last) wrong(`The proof of leaf ${index} is too short.`)
    if (!same(hash, root)) wrong(`Leaf ${index} is not in the tree of ${size} leaves that was signed.`)
  }
  async function checkConsistency(old, now, proof, oldRoot, newRoot) {
    const broken = () => wrong(`The log of ${now} events does not continue the one of ${old}.`)
    if (!Number.isSafeInteger(old) || !(old > 0 && old <= now)) broken()
    if (old === now) { if (proof.length || !same(oldRoot, newRoot)) broken(); return }
    const path = Number.isInteger(Math.log2(old)) && 2 ** Math.round(Math.log2(old)) === old ? [oldRoot, ...proof] : proof
    if (!path.length) broken()
    let place = old - 1, last = now - 1
    while (odd(place)) { place = half(place); last = half(last) }
    let first = path[0], second = path[0]
    for (const sibling of path.slice(1)) {
      if (last === 0) broken()
      if (odd(place) || place === last) {
        first = await nodeHash(sibling, first)
        second = await nodeHash(sibling, second)
        while (!odd(place) && place) { place = half(place); last = half(last) }
      } else second = await nodeHash(second, sibling)
      place = half(place); last = half(last)
    }
    if (last || !same(first, oldRoot) || !same(second, newRoot)) broken()
  }

  // Leaves.

  function canonical(value) {
    if (value === null || typeof value === "boolean") return JSON.stringify(value)
    if (typeof value === "number") return Number.isSafeInteger(value) && !Object.is(value, -0) ? String(value) : wrong("number")
    if (typeof value === "string") return /[\ud800-\udfff]/u.test(value) ? wrong("text") : JSON.stringify(value)
    if (Array.isArray(value)) return `[${value.map(canonical).join(",")}]`
    return `{${Object.keys(value).sort().map(key => /[^\x00-\x7f]/.test(key) ? wrong("key") : `${JSON.stringify(key)}:${canonical(value[key])}`).join(",")}}`
  }
  const MEMBERS = { 1: "actor at data kind subject system v", 2: "actor at data kind late n subject system v" }
  function parseLeaf(raw) {
    let value
    try {
      const given = text(raw)
      value = JSON.parse(given)
      if (!object(value) || canonical(value) !== given) throw 0
    } catch { wrong("A leaf is not in canonical form.") }
    if (typeof value.v !== "number" || !MEMBERS[value.v]) wrong("A leaf is of another version.")
    if (Object.keys(value).sort().join(" ") !== MEMBERS[value.v] || !object(value.data)) wrong("A leaf has other members than its version has.")
    if (["actor", "at", "kind", "subject", "system"].some(key => typeof value[key] !== "string")) wrong("One of actor, at, kind, subject and system of a leaf is not text.")
    if (value.v > 1 && ["late", "n"].some(key => !Number.isSafeInteger(value[key]) || value[key] < 0)) wrong("One of late and n of a leaf is not a number from 0 on.")
    return value
  }
  // Microseconds since 1970 of a time of RFC 3339.
  function micros(given) {
    const m = /^(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?(Z|([+-])(\d\d):(\d\d))?$/.exec(given)
    if (!m) throw new Wrong(`Not a time: ${given}`)
    const seconds = Date.UTC(+m[1], +m[2] - 1, +m[3], +m[4], +m[5], +m[6]) / 1000
    const shift = m[9] ? (m[9] === "-" ? 1 : -1) * (+m[10] * 3600 + +m[11] * 60) : 0
    return (seconds + shift) * 1e6 + Number((m[7] || "").padEnd(6, "0"))
  }

  // What was asked for, and whether all of it is there (governance/audit/scope.py).

  class Scope {
    constructor(document, begun) {
      const isMoment = one => one === null || (typeof one === "string" && one.length === 27 && one.endsWith("Z") && micros(one) >= -1e18)
      const fits = object(document) && Object.keys(document).sort().join(" ") === "case kinds policy since system until"
        && isMoment(document.since) && isMoment(document.until) && typeof document.system === "string"
        && typeof document.policy === "string" && (document.case === null || Number.isInteger(document.case))
        && Array.isArray(document.kinds) && document.kinds.every(one => typeof one === "string")
      if (!fits) wrong("The filter is not one of a package.")
      Object.assign(this, document, { document, begun })
      this.related = Boolean(this.policy) || this.case !== null
      this.provable = !this.related && !this.kinds.length
      this.whole = this.provable && !this.system && this.since === null && this.until === null
    }
    holds(seq, leaf) {
      if (this.system && leaf.system !== this.system) return false
      if (this.kinds.length && !this.kinds.includes(leaf.kind)) return false
      if (this.related) return seq !== this.begun
      return (this.since === null || leaf.at >= this.since) && (this.until === null || leaf.at < this.until)
    }
    isOwn(leaf) {
      return ["export.begun", "export.made"].includes(leaf.kind) && !this.kinds.includes(leaf.kind) && equal(leaf.data.filter, this.document)
    }
    toString() {
      return [this.system ? `the system ${this.system}` : "the log", ...(this.since === null ? [] : [`from ${this.since}`]),
        ...(this.until === null ? [] : [`until ${this.until}`])].join(" ")
    }
  }
  class Coverage {
    runs = []
    older = 0
    olderLate = null
    endLate = 0
    beyond = null
    constructor(scope, size) { this.scope = scope; this.size = size }
    take(seq, leaf) {
      const scope = this.scope, older = leaf.v === 1
      if (leaf.kind === "log.upgraded" && !older) this.olderLate = leaf.late
      if (seq === scope.begun && !older) this.endLate = leaf.late
      if (scope.system && leaf.system !== scope.system) return
      if (seq > scope.begun && !scope.whole) { this.beyond = this.beyond === null ? seq : this.beyond; return }
      let position = seq
      if (scope.system) {
        position = older ? this.older : leaf.n
        if (older) this.older++
      }
      let run = this.runs.at(-1)
      if (!run || position !== run.last + 1) {
        run = { position, at: leaf.at, late: leaf.late === undefined ? null : leaf.late, held: false }
        this.runs.push(run)
      }
      run.openEnd = older && Boolean(scope.system)
      run.last = position; run.lastSeq = seq; run.lastAt = leaf.at
      run.held = run.held || scope.holds(seq, leaf)
      const prior = this.runs.at(-2)
      if (prior && !prior.held && prior.late !== null && this.before(prior)) this.runs.splice(-2, 1)
    }
    problem() {
      if (this.beyond !== null) return `Event ${this.beyond} is from after the export began.`
      const held = this.runs.filter(run => run.held)
      if (held.length > 1) return `What stands between event ${held[0].lastSeq} and the next is left out.`
      const candidates = held.length ? held : this.runs
      if (candidates.some(run => !this.before(run) && !this.after(run))) return ""
      if (!candidates.length) return "There is no event that shows where the selection begins and ends."
      return this.before(candidates[0]) || this.after(candidates[0])
    }
    before(run) {
      if (run.openEnd) return "Events from before the streams are there without the first that has a number."
      if (run.position === 0) return ""
      const late = run.late !== null ? run.late : this.scope.system ? null : this.olderLate
      if (this.scope.since === null) return `What stands before number ${run.position} of ${this.scope} is left out.`
      if (late === null || micros(run.at) + late >= micros(this.scope.since)) return `Nothing shows that what stands before number ${run.position} is not of the period.`
      return ""
    }
    after(run) {
      if (run.lastSeq === (this.scope.whole ? this.size - 1 : this.scope.begun)) return ""
      if (this.scope.until === null) return `What stands after event ${run.lastSeq} is left out.`
      if (micros(run.lastAt) - this.endLate < micros(this.scope.until)) return `Nothing shows that what stands after event ${run.lastSeq} is not of the period.`
      return ""
    }
    toString() {
      return this.scope.whole ? `the log, all ${this.size} events` : `${this.scope}, up to event ${this.scope.begun}`
    }
  }

  // What manifest and summary say, derived again (governance/audit/summary.py).

  class Facts {
    count = 0
    own = 0
    first = null
    last = null
    contiguous = true
    kinds = new Map()
    actions = new Map()
    outcomes = new Map()
    actors = new Set()
    records = Object.fromEntries(Object.values(RECORDS).map(([name]) => [name, { count: 0, absent: [] }]))
    constructor(scope) { this.scope = scope }
    take(seq, leaf) {
      if (!this.scope.holds(seq, leaf)) return false
      if (this.last === null) this.first = seq
      else if (seq !== this.last + 1) this.contiguous = false
      this.last = seq
      this.count++
      this.own += this.scope.isOwn(leaf) ? 1 : 0
      const add = (counter, name) => counter.set(name, (counter.get(name) || 0) + 1)
      add(this.kinds, leaf.kind)
      this.actors.add(leaf.actor)
      if (leaf.kind === "decision.made") add(this.actions, said(leaf.data.action))
      else if (leaf.kind === "verdict.given") add(this.outcomes, said(leaf.data.outcome))
      return true
    }
  }
  const UNPRINTABLE = /[\x00-\x1f\x7f-\xa0\u00ad\u200b-\u200f\u2028-\u202f\u2060-\u206f\ud800-\udfff\ufeff\ufff0-\ufffc\ufffe\uffff]/gu
  function summary(manifest, facts) {
    const chosen = manifest.filter, who = manifest.names[manifest.made_by], scope = facts.scope
    const name = who ? `${who} (${manifest.made_by})` : manifest.made_by
    const counted = (number, what) => `  ${String(number).padStart(9)}  ${what}`
    const sorted = counter => [...counter].sort((a, b) => byPoints(a[0], b[0])).map(([what, number]) => counted(number, what))
    const out = [
      ...(facts.count === facts.own ? [`THIS PACKAGE HOLDS NOTHING. ${NOTHING}`, ""] : []),
      `Evidence from ${manifest.origin}`, "",
      `Made       ${manifest.made_at} by ${name}`,
      `Time       ${chosen.since || "the beginning"} to ${chosen.until || "the export"}`,
      `System     ${chosen.system || "all"}`,
      `Policy     ${chosen.policy || "any"}`,
      `Case       ${chosen.case || "any"}`,
      `Kinds      ${chosen.kinds.join(", ") || "all"}`,
      `Log        ${manifest.checkpoint.size} events, root ${manifest.checkpoint.root}`,
      `Inside     ${facts.count} events` + (facts.count ? `, ${facts.first} to ${facts.last}` : "")
        + (!facts.contiguous ? ", a selection" : facts.count ? ", none left out between" : ""),
      "Complete   " + (scope.provable ? `of ${scope}` : "not shown: a selection by policy, case or kind"), "",
      "Events", ...sorted(facts.kinds), "",
      "Records",
      ...Object.entries(facts.records).map(([what, about]) => counted(about.count, what)
        + (about.absent.length ? `, and ${about.absent.length} that no longer exist` : "")),
    ]
    for (const [title, counter] of [["Actions decided", facts.actions], ["Verdicts", facts.outcomes]]) {
      if (counter.size) out.push("", title, ...sorted(counter))
    }
    const names = Object.entries(manifest.names).sort((a, b) => byPoints(a[0], b[0]) || byPoints(a[1], b[1]))
    if (names.length) out.push("", "Who", ...names.map(([reference, one]) => `  ${reference}  ${one}`))
    return utf8.encode(out.map(line => line.replace(UNPRINTABLE, "\ufffd") + "\n").join(""))
  }
  function shape(manifest) {
    const MANIFEST = "begun checkpoint continues export files filter format key kinds leaves made_at made_by names origin records"
    const texts = [...["origin", "key", "made_at", "made_by", "export"].map(name => manifest[name]), manifest.checkpoint.root,
      ...Object.values(manifest.names), ...Object.values(manifest.files).flatMap(file => [file.sha256, file.packed_sha256])]
    const numbers = [manifest.begun, manifest.checkpoint.size]
    for (const about of Object.values(manifest.records)) numbers.push(about.count, ...about.absent)
    if (manifest.continues !== null) numbers.push(manifest.continues.size)
    const wanted = Object.values(RECORDS).map(([name]) => name).sort().join(" ")
    return Object.keys(manifest).sort().join(" ") === MANIFEST && texts.every(one => typeof one === "string")
      && numbers.every(Number.isSafeInteger) && Object.keys(manifest.records).sort().join(" ") === wanted
      && object(manifest.leaves) && object(manifest.kinds) && object(manifest.names) && object(manifest.files)
  }

  // Records beside the leaves that prove them (governance/audit/records.py).

  class Records {
    gone = new Map()
    doubts = new Map()
    erased = 0
    constructor(fail) { this.fail = fail }
    event(leaf) {
      if (leaf.kind === "call.content_added") this.doubts.delete(`amended ${said(leaf.data.call)}`)
      if (leaf.kind !== "content.erased") return
      const subjects = [leaf.subject]
      for (const [name, kind] of [["calls", "call"], ["reports", "report"], ["cases", "case"]]) {
        if (Array.isArray(leaf.data[name])) subjects.push(...leaf.data[name].map(number => `${kind}:${said(number)}`))
      }
      for (const subject of subjects) {
        this.erased += (this.gone.get(subject) || []).length + (this.doubts.get(`erased ${subject}`) || []).length
        this.gone.delete(subject)
        this.doubts.delete(`erased ${subject}`)
      }
    }
    absent(seq, leaf) {
      this.gone.set(leaf.subject, [...(this.gone.get(leaf.subject) || []), `Event ${seq} (${leaf.kind}, ${leaf.subject})`])
    }
    compare(seq, leaf, record) {
      const name = RECORDS[leaf.kind][1], where = `${name} ${said(record.id)}, event ${seq}`
      const shaped = value => value === undefined ? wrong("shape") : value
      const agree = (field, proven, found) => { if (!equal(proven, shaped(found))) this.fail(`${where}: ${field} is ${said(found)}, the log says ${said(proven)}.`) }
      const each = (pairs, tell) => { for (const [proven, found] of Object.entries(pairs)) if (has(leaf.data, proven)) tell(found, leaf.data[proven], shaped(record[found])) }
      const decided = value => [value.action ?? null, value.queue ?? null, value.severity || "", value.policy_set ?? null,
        (value.policies || []).map(one => ["policy", "outcome", "action", "status"].map(key => one[key] ?? null))]
      const data = leaf.data
      try {
        if (leaf.kind === "call.recorded") {
          agree("id", leaf.subject, `call:${shaped(record.id)}`)
          agree("system", leaf.system, record.system)
          each({ trace: "trace_id", span: "span_id" }, agree)
          if (has(record, "decisions")) this.fail(`${where}: decisions are records of their own.`)
          const doubt = (field, proven, found) => {
            if (equal(proven, found)) return
            const key = `amended ${said(data.call)}`
            this.doubts.set(key, [...(this.doubts.get(key) || []), `${where}: ${field} is ${said(found)}, the log says ${said(proven)}.`])
          }
          each({ kind: "kind", captured: "content_captured" }, doubt)
          if (has(data, "release")) doubt("release", data.release, shaped(record.release.fingerprint))
          if (has(data, "started")) doubt("start", micros(data.started), micros(record.started_at))
        } else if (leaf.kind === "decision.made") {
          agree("id", said(data.decision), record.id)
          agree("decision", decided(data), decided(record))
          each({ revision: "revision" }, agree)
          if (data.call !== null && data.call !== undefined) agree("call", said(data.call), record.call_id)
        } else if (leaf.kind === "case.opened") {
          agree("id", leaf.subject, `case:${shaped(record.id)}`)
          agree("system", leaf.system, record.system)
          if (data.call !== null && data.call !== undefined) agree("call", said(data.call), record.call_id)
        } else if (leaf.kind === "verdict.given") {
          agree("case", leaf.subject, `case:${shaped(record.case_id)}`)
          agree("reviewer", leaf.actor, record.given_by)
          each({ outcome: "outcome", reason: "reason" }, agree)
          agree("time", true, Math.abs(micros(leaf.at) - micros(record.given_at)) < 60e6)
        } else {
          agree("id", leaf.subject, `report:${shaped(record.id)}`)
          agree("system", leaf.system, record.system)
        }
      } catch {
        this.fail(`${where}: it is not of the shape of such a record.`)
      }
    }
    finish() {
      for (const doubts of this.doubts.values()) doubts.forEach(this.fail)
      return [...this.gone.values()].flat()
    }
  }

  // Tables for spreadsheets (governance/audit/tables.py, spreadsheet.py).

  const TABLES = {
    cases: "id kind state severity queue title system policy call_id decision_id opened_at due_at closed_at".split(" "),
    verdicts: "id case_id outcome reason note given_by given_at approved_by approved_at returned_by returned_at".split(" "),
    decisions: "id call_id revision action queue severity policies explanation policy_set decided_at".split(" "),
  }
  const FORMULA = /^[=+\-@\t\r\n\uff1d\uff0b\uff0d\uff20]/
  function cell(value) {
    if (typeof value !== "string") return Number.isSafeInteger(value) ? String(value) : ""
    value = value.replace(/\x00/g, "\ufffd")
    const bare = value.replace(/^[ \u00a0\u200b\u200c\u200d\u2060\ufeff]+/, "")
    return (FORMULA.test(value) || FORMULA.test(bare) ? "'" : "") + value
  }
  const csvLine = cells => cells.map(one => `"${cell(one).replace(/"/g, '""')}"`).join(",").replace(/[\ud800-\udfff]/gu, one => `\\u${one.charCodeAt(0).toString(16)}`) + "\r\n"
  function tableRow(name, record) {
    const asText = value => typeof value === "string" ? value : ""
    return csvLine(TABLES[name].map(column => column !== "policies" ? (has(record, column) ? record[column] : null)
      : (Array.isArray(record.policies) ? record.policies : []).filter(object).map(one => `${asText(one.policy)} (${asText(one.outcome)})`).join(", ")))
  }

  // The checks, in order.

  class Ledger {
    failures = 0
    places = []
    constructor(name) { this.name = name; this.fail = this.fail.bind(this) }
    fail(place) {
      this.failures++
      if (this.places.length < MOST_PLACES) this.places.push(String(place))
    }
    check(passed) {
      if (!this.failures) return { name: this.name, outcome: "passed", detail: passed, places: [], failures: 0 }
      return { name: this.name, outcome: "failed", detail: this.places[0], places: this.places, failures: this.failures }
    }
  }
  const one = (name, outcome, detail) => ({ name, outcome, detail, places: [], failures: 0 })

  class Package {
    checks = []
    shown = []
    events = 0
    story = { leaves: [], calls: new Map(), decisions: new Map(), cases: new Map(), verdicts: new Map(), reports: new Map() }
    constructor({ key = "", kept = "", own = false, progress = () => {} }) { Object.assign(this, { given: key.trim(), note: kept, own, progress }) }

    add(check, stop = false) {
      this.checks.push(check)
      if (stop && check.outcome === "failed") throw new Stop()
    }
    stop(name, error) {
      const ledger = new Ledger(name)
      ledger.fail(error.message || error)
      this.checks.push(ledger.check(""))
      throw new Stop()
    }
    show(result, of) { this.shown.push({ result, of }) }

    async verify(bytes) {
      try { this.archive = openArchive(bytes) } catch (error) { if (!(error instanceof Wrong)) throw error; this.stop("archive", error) }
      this.add(new Ledger("archive").check(`${this.archive.members.size} files, nothing hidden between them.`))
      try {
        this.text = await unpacked(this.archive, "manifest.json")
        this.manifest = JSON.parse(text(this.text))
      } catch (error) { this.stop("manifest", error instanceof Wrong ? error : "manifest.json is not JSON.") }
      if (!object(this.manifest)) this.stop("manifest", "manifest.json is not a JSON object.")
      if (this.manifest.format !== "governance-evidence/v2") this.stop("manifest", "manifest.json is not of the format governance-evidence/v2: use governance audit verify.")
      let fits = false
      try { fits = shape(this.manifest); this.scope = new Scope(this.manifest.filter, this.manifest.begun) } catch { fits = false }
      if (!fits) this.stop("manifest", "manifest.json lacks what a manifest must have, or has it in another shape.")
      await this.findKey()
      await this.checkSignature()
      await this.checkFiles()
      await this.checkCheckpoint()
      const missing = await this.read()
      this.finishLeaves()
      this.finishCompleteness()
      this.finishRecords(missing)
      await this.checkStatement()
      await this.checkMade()
      await this.checkContinuity()
    }

    async findKey() {
      const origin = this.manifest.origin
      let inside, key
      try {
        inside = await parseKey(this.manifest.key, "")
        key = this.given ? await parseKey(this.given, origin) : inside
      } catch (error) { this.stop("key", error) }
      if (key.line !== inside.line) this.stop("key", `The package was not signed with the key you gave, but with ${inside.line}.`)
      if (key.name !== origin) this.stop("key", `The key is of ${key.name}, the package of ${origin}.`)
      this.key = key
      if (this.note.trim()) {
        try { this.kept = await openCheckpoint(this.note, key, this.own) } catch (error) { this.foreign = error.message }
        if (this.kept && this.kept.size === 0) { this.kept = undefined; this.foreign = "It is of 0 events, and proves nothing." }
      }
      if (this.given) this.add(new Ledger("key").check(`The key you gave, of ${origin}.`))
      else if (this.kept) this.add(new Ledger("key").check(`The key that signed the checkpoint you kept, of ${origin}.`))
      else this.add(one("key", "not_proven", `Nobody vouches for the package's own key, ${inside.line}: give the key that you trust.`))
    }

    async checkSignature() {
      const ledger = new Ledger("manifest"), name = this.key.name
      try {
        const note = text(await unpacked(this.archive, "manifest.note"))
        const wanted = `governance evidence manifest v1\n${name}\nsha256:${hex(await sha256(this.text))}\n`
        if (split(note)[1].length !== 1) ledger.fail("manifest.note must have one signature.")
        else if (await openNote(note, this.key, this.own) !== wanted) ledger.fail("manifest.json is not the one that was signed.")
      } catch (error) { ledger.fail(`manifest.note: ${error.message}`) }
      this.add(ledger.check(`Signed by ${name}, made ${this.manifest.made_at}.`), true)
    }

    async checkFiles() {
      const ledger = new Ledger("files"), stated = this.manifest.files
      const present = [...this.archive.members.keys()].filter(name => !["manifest.json", "manifest.note", "made.json"].includes(name))
      for (const name of Object.keys(stated).sort()) if (!present.includes(name)) ledger.fail(`${name} is missing.`)
      for (const name of present.sort()) {
        if (!has(stated, name)) { ledger.fail(`${name} is not in the manifest.`); continue }
        try {
          const plain = await unpacked(this.archive, name), want = stated[name]
          if (hex(await sha256(plain)) !== want.sha256 || hex(await sha256(packedBytes(this.archive, name))) !== want.packed_sha256) ledger.fail(`${name} is not the file that was signed.`)
          else if (want.size !== plain.length) ledger.fail(`${name} has another size than was signed.`)
        } catch (error) { ledger.fail(error.message) }
      }
      this.add(ledger.check(`All ${Object.keys(stated).length} files are those that were signed.`), true)
    }

    async checkCheckpoint() {
      const ledger = new Ledger("checkpoint"), stated = this.manifest.checkpoint
      try {
        this.checkpoint = await openCheckpoint(text(await unpacked(this.archive, "checkpoint.note")), this.key, this.own)
        if (stated.size !== this.checkpoint.size || !same(decodeHash(stated.root), this.checkpoint.root)) ledger.fail("The manifest speaks of another checkpoint.")
      } catch (error) { this.stop("checkpoint", error) }
      this.add(ledger.check(`${this.checkpoint.size} events, signed by ${this.checkpoint.origin}.`), true)
    }

    *placed(bytes, name, ledger) {
      let number = 0
      for (const line of lines(bytes, name)) {
        number++
        const tab = line.indexOf(9)
        const place = tab < 0 ? "" : Array.from(line.subarray(0, Math.min(tab, 17)), one => String.fromCharCode(one)).join("")
        if (!/^(0|[1-9][0-9]{0,15})$/.test(place)) { ledger.fail(`${name}:${number}: not a place, a tab and the rest.`); continue }
        yield [Number(place), line.subarray(tab + 1)]
      }
    }
    // Place, leaf and its hash; many hashes are asked for at once, since each by itself waits for another thread.
    async *hashed(bytes, ledger) {
      const source = this.placed(bytes, "leaves.tsv", ledger)
      for (let error = null, done = false; !done;) {
        const entries = []
        try {
          while (entries.length < 512 && !done) {
            const got = source.next()
            done = got.done
            if (!done) entries.push(got.value)
          }
        } catch (found) { error = found; done = true }
        const hashes = await Promise.all(entries.map(([, raw]) => leafHash(raw)))
        for (const [at, [seq, raw]] of entries.entries()) yield [seq, raw, hashes[at]]
        if (error) throw error
      }
    }
    *hashes(bytes) {
      for (const [place, rest] of this.placed(bytes, "hashes.tsv", this.proven)) {
        const [count, ...more] = Array.from(rest, one => String.fromCharCode(one)).join("").split("\t")
        const width = /^[1-9][0-9]{0,15}$/.test(count) ? Number(count) : 0, level = Math.round(Math.log2(width || 1))
        if (!width || 2 ** level !== width) { this.proven.fail("hashes.tsv: the number of leaves is not a power of two."); return }
        try { yield [place, level, decodeHash(more.join("\t"))] } catch (error) { this.proven.fail(`hashes.tsv: ${error.message}`); return }
      }
    }
    *records(bytes, name, record) {
      let number = 0
      for (const line of lines(bytes, `records/${name}.jsonl`)) {
        number++
        let value
        try { value = JSON.parse(text(line)) } catch { value = null }
        if (!object(value) || !object(value[record]) || !has(value, "seq")) { this.compared.fail(`records/${name}.jsonl:${number}: not a record.`); continue }
        yield [value.seq, value[record]]
      }
    }

    // One pass over the leaves, with the hashes of what is not in the package and the records beside.
    async read() {
      const form = this.form = new Ledger("leaves"), proven = this.proven = new Ledger("inclusion")
      const compared = this.compared = new Ledger("records"), story = this.story
      this.facts = new Facts(this.scope)
      this.coverage = new Coverage(this.scope, this.checkpoint.size)
      this.roots = new Map()
      this.tombstones = 0
      this.tables = Object.fromEntries(Object.entries(TABLES).map(([name, columns]) => [name, [`\ufeff${csvLine(columns)}`]]))
      const records = new Records(compared.fail), kept = this.kept ? this.kept.size : -1, tree = new Frontier()
      const readers = {}, absent = {}
      const guarded = function* (inner) { try { yield* inner } catch (error) { compared.fail(error.message) } }
      for (const [name, record] of Object.values(RECORDS)) {
        const file = `records/${name}.jsonl`
        readers[name] = this.archive.members.has(file) ? guarded(this.records(await unpacked(this.archive, file), name, record)) : [][Symbol.iterator]()
        absent[name] = [...this.manifest.records[name].absent]
      }
      const hashes = this.hashes(await unpacked(this.archive, "hashes.tsv"))
      const next = () => { try { const got = hashes.next(); return got.done ? null : got.value } catch (error) { proven.fail(error.message); return null } }
      const grow = async ([place, level, hash]) => {
        if (proven.failures) return
        if (place !== tree.size) { proven.fail(`hashes.tsv: the hash for ${place} does not follow what stands before it.`); return }
        try { await tree.add(hash, level) } catch (error) { proven.fail(`hashes.tsv: ${error.message}`) }
        if (tree.size === kept) this.roots.set(kept, await tree.root())
      }
      let pending = next(), before = -1
      const bytes = await unpacked(this.archive, "leaves.tsv")
      try {
        for await (const [seq, raw, hash] of this.hashed(bytes, form)) {
          if (seq <= before) { form.fail(`leaves.tsv: event ${seq} comes after event ${before}.`); continue }
          before = seq
          if (++this.events % 2000 === 0) { this.progress(this.events); await new Promise(done => setTimeout(done)) }
          while (pending && pending[0] < seq) { await grow(pending); pending = next() }
          if (tree.size !== seq && !proven.failures) proven.fail(`Event ${seq}: neither leaf nor hash is there for what stands at ${tree.size}.`)
          if (!proven.failures) {
            await tree.add(hash)
            if (tree.size === kept) this.roots.set(kept, await tree.root())
          }
          let leaf
          try { leaf = parseLeaf(raw) } catch (error) { form.fail(`Event ${seq}: ${error.message}`); continue }
          if (seq === this.scope.begun) this.begun = leaf
          this.coverage.take(seq, leaf)
          records.event(leaf)
          story.leaves.push([seq, leaf])
          if (!this.facts.take(seq, leaf)) continue
          if (leaf.kind === "content.erased") this.tombstones++
          if (!has(RECORDS, leaf.kind)) continue
          const name = RECORDS[leaf.kind][0]
          if (absent[name][0] === seq) {
            this.facts.records[name].absent.push(absent[name].shift())
            records.absent(seq, leaf)
            continue
          }
          const got = readers[name].next()
          const [place, record] = got.done ? [-1, {}] : got.value
          if (place !== seq) { compared.fail(`Event ${seq} (${leaf.kind}) has no record beside it.`); continue }
          this.facts.records[name].count++
          records.compare(seq, leaf, record)
          if (has(TABLES, name)) this.tables[name].push(tableRow(name, record))
          story[name].set(seq, record)
        }
      } catch (error) { form.fail(error.message) }
      while (pending) { await grow(pending); pending = next() }
      for (const [name, reader] of Object.entries(readers)) if (!reader.next().done) compared.fail(`records/${name}.jsonl has a record that no event speaks of.`)
      if (!proven.failures && (tree.size !== this.checkpoint.size || !same(await tree.root(), this.checkpoint.root))) {
        proven.fail(`The leaves and hashes lead to another root of ${tree.size} events than the one that was signed of ${this.checkpoint.size}.`)
      }
      const missing = records.finish()
      this.erased = records.erased
      return missing
    }

    finishLeaves() {
      const facts = this.facts, beside = this.events - facts.count
      this.add(this.form.check(`${facts.count} events${facts.count ? `, ${facts.first} to ${facts.last}` : ""}${beside ? `, and ${beside} for what they prove` : ""}.`))
      this.add(this.proven.check(`All ${this.events} events are in the signed log of ${this.checkpoint.size}.`))
    }
    finishCompleteness() {
      if (!this.scope.provable) {
        this.show("PARTIAL", `a selection by policy, case or kind from ${this.scope}`)
        this.add(one("completeness", "not_checked", "A selection by policy, case or kind does not show that nothing was left out. Ask for a package of the whole log, of a system, or of a period."))
        return
      }
      const ledger = new Ledger("completeness"), problem = this.coverage.problem()
      if (problem) { ledger.fail(problem); this.show("MISSING", `events of ${this.scope}`) } else this.show("COMPLETE", String(this.coverage))
      this.add(ledger.check(`Nothing is left out of ${this.coverage}.`))
    }
    finishRecords(missing) {
      for (const place of missing) this.compared.fail(`${place}: the record is not there, and no event says that it was erased.`)
      if (missing.length) this.show("MISSING", `${missing.length} records`)
      if (this.erased || this.tombstones) this.show("ERASED WITH RECORD", `${this.erased} records; ${this.tombstones} events about erasures`)
      const count = Object.values(this.facts.records).reduce((sum, about) => sum + about.count, 0)
      this.add(this.compared.check(`${count} records say what their events say.${this.erased ? ` ${this.erased} are gone or differ because they were erased.` : ""}`))
    }

    async checkStatement() {
      const ledger = new Ledger("statement"), manifest = this.manifest, facts = this.facts, begun = this.begun
      if (!begun) ledger.fail(`Event ${this.scope.begun}, with which the export began, is not in the package.`)
      else for (const [name, proven, found] of [
        ["begun", "export.begun", begun.kind], ["filter", begun.data.filter, manifest.filter], ["export", begun.data.export, manifest.export],
        ["continues", begun.data.kept ?? null, manifest.continues === null ? null : manifest.continues.size],
        ["made_by", begun.actor, manifest.made_by], ["made_at", begun.at, manifest.made_at], ["system", begun.system, this.scope.system],
      ]) if (!equal(proven, found)) ledger.fail(`${name}: the manifest says ${said(found)}, the log ${said(proven)}.`)
      const derived = { count: facts.count, first: facts.first, last: facts.last, contiguous: facts.contiguous }
      for (const [name, proven] of [["leaves", derived], ["kinds", Object.fromEntries(facts.kinds)], ["records", facts.records]]) {
        if (!equal(proven, manifest[name])) ledger.fail(`${name}: the manifest says otherwise than the leaves and records.`)
      }
      for (const reference of Object.keys(manifest.names).sort()) {
        if (!facts.actors.has(reference) && reference !== manifest.made_by) ledger.fail(`names: ${reference} did nothing that is in the package.`)
      }
      try {
        for (const [name, wanted] of [["summary.txt", summary(manifest, facts)], ["key.txt", utf8.encode(`${this.key.line}\n`)], ["key.pem", utf8.encode(this.key.pem)]]) {
          if (!same(await unpacked(this.archive, name), wanted)) ledger.fail(`${name} says otherwise than the leaves and records.`)
        }
      } catch (error) { ledger.fail(error.message) }
      for (const [name, rows] of Object.entries(this.tables)) {
        const stated = manifest.files[`tables/${name}.csv`]
        if (!stated || stated.sha256 !== hex(await sha256(utf8.encode(rows.join(""))))) ledger.fail(`tables/${name}.csv says otherwise than the records.`)
      }
      this.add(ledger.check(`What manifest and summary say follows from the log: made by ${manifest.made_by} at ${manifest.made_at}. Names are as exported.`))
    }

    async checkMade() {
      const ledger = new Ledger("made"), manifest = this.manifest
      try {
        const raw = text(await unpacked(this.archive, "made.json")), made = JSON.parse(raw)
        const again = JSON.stringify({ place: made.place, leaf: made.leaf, proof: made.proof, checkpoint: made.checkpoint, consistency: made.consistency }, null, 1)
          .replace(/[^\x00-\x7f]/g, one => `\\u${one.charCodeAt(0).toString(16).padStart(4, "0")}`) + "\n"
        if (raw !== again) wrong("made.json is not in its one form.")
        const leaf = utf8.encode(made.leaf), later = await openCheckpoint(made.checkpoint, this.key, this.own)
        if (split(made.checkpoint)[1].length !== 1) wrong("Its checkpoint must have one signature.")
        await checkConsistency(this.checkpoint.size, later.size, made.consistency.map(decodeHash), this.checkpoint.root, later.root)
        await checkInclusion(await leafHash(leaf), made.place, later.size, made.proof.map(decodeHash), later.root)
        this.roots.set(later.size, later.root)
        const event = parseLeaf(leaf)
        for (const [name, proven, found] of [
          ["kind", event.kind, "export.made"], ["actor", event.actor, manifest.made_by], ["system", event.system, this.scope.system],
          ["export", event.data.export, manifest.export], ["begun", event.data.begun, manifest.begun], ["filter", event.data.filter, manifest.filter],
          ["events", event.data.events, this.facts.count], ["manifest", event.data.manifest, hex(await sha256(this.text))],
          ["place", made.place >= this.checkpoint.size, true],
        ]) if (!equal(proven, found)) ledger.fail(`${name}: the log says ${said(proven)}, this package ${said(found)}.`)
      } catch (error) { ledger.fail(error instanceof Wrong ? error.message : "made.json is not of its shape.") }
      this.add(ledger.check("The log states the SHA-256 of this package's manifest."))
    }

    async checkContinuity() {
      const ledger = new Ledger("continuity"), stated = this.manifest.continues, checkpoint = this.checkpoint, kept = this.kept
      const proven = new Map(this.roots).set(checkpoint.size, checkpoint.root), all = `${checkpoint.size} events of ${checkpoint.origin}`
      try {
        if (stated !== null) {
          const root = decodeHash(stated.root)
          await checkConsistency(stated.size, checkpoint.size, stated.proof.map(decodeHash), root, checkpoint.root)
          if (!proven.has(stated.size)) proven.set(stated.size, root)
        }
      } catch (error) { ledger.fail(`The proof in the package that the log continues an earlier one: ${error.message}`) }
      if (ledger.failures) { this.add(ledger.check("")); return }
      if (!kept && this.note.trim()) {
        this.show("SIGNED ONLY", all)
        this.add(one("continuity", "not_proven", `The checkpoint that you gave is not one of this log. ${this.foreign}`))
      } else if (!kept) {
        this.add(one("continuity", "not_checked", "No checkpoint that was kept elsewhere was given." + (stated === null ? "" : ` The package continues a log of ${stated.size} events.`)))
        this.show("SIGNED ONLY", all)
      } else if (!proven.has(kept.size)) {
        this.show("SIGNED ONLY", all)
        this.add(one("continuity", "not_proven", `The package has no proof for a log of ${kept.size} events. ` + (kept.size > checkpoint.size
          ? "It is newer than the package: give one from before the package was made." : "Ask for a package made with: governance export --checkpoint FILE.")))
      } else if (!same(proven.get(kept.size), kept.root)) {
        ledger.fail(`The checkpoint of ${kept.size} events that was kept is of another history than this package.`)
        this.add(ledger.check(""))
        this.show("DIVERGED", `the kept checkpoint of ${kept.size} events`)
      } else {
        this.add(ledger.check(`The log continues the checkpoint of ${kept.size} events that was kept.`))
        this.show("WITNESSED", `the kept checkpoint of ${kept.size} events`)
      }
    }
  }

  // `options`: key and kept (texts), progress(events), own (our Ed25519 although the browser has one).
  async function verifyPackage(bytes, options = {}) {
    const found = new Package(options)
    try { await found.verify(bytes) } catch (error) { if (!(error instanceof Stop)) throw error }
    const failed = found.checks.filter(one => one.outcome === "failed").map(one => one.name)
    const unproven = found.checks.filter(one => one.outcome === "not_proven").map(one => one.name)
    const bad = found.shown.filter(({ result }) => ["MISSING", "DIVERGED", "INVALID"].includes(result))
    const others = failed.filter(name => !bad.length || !SHOWN_APART.includes(name))
    const results = !failed.length ? found.shown : others.length ? [...bad, { result: "INVALID", of: others.join(", ") }] : bad
    return { ok: !failed.length && !unproven.length, failed, unproven, results, checks: found.checks, manifest: found.manifest || null,
      story: found.story, events: found.facts ? found.facts.count : 0, key: found.key ? found.key.line : "" }
  }
  return { verifyPackage, ownEd25519 }
})()
