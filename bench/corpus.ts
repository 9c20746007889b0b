// A node's tree of container logs in a directory of its own: `pods/NAMESPACE_POD_UID/CONTAINER/0.log` and the links
// `containers/POD_NAMESPACE_CONTAINER-ID.log`, empty or filled with a given number of bytes of CRI rows. All of it is
// drawn from one seed; only the times depend on the day. What is written is tallied while it is written.

import { closeSync, fsyncSync, mkdirSync, openSync, symlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { FIRST_PIECE, LAST_PIECE, makeBlock, RowClock, WHOLE, writeDigits } from './block.ts'
import { Random } from './random.ts'
import { addMessage, crcOf, newWritten, tallyKey, type Written, type WrittenTally } from './tally.ts'

const MIB = 1024 * 1024
/** The rows of a filled file lie between these two ages. */
const OLDEST_MINUTES = 25
const NEWEST_MINUTES = 1

const APPS = ['checkout', 'catalog', 'gateway', 'billing', 'search', 'indexer', 'operator', 'frontend']
const NAMESPACES = ['shop', 'platform', 'kube-system', 'payments']
/** The letters of which Kubernetes makes the suffixes of names. */
const NAME_LETTERS = [...'bcdfghjklmnpqrstvwxz2456789']

export interface LogFile {
  writer: number
  path: string
  pod: string
  container: string
}

export interface Tree {
  root: string
  /** Where the links are: what a `containers` source is given, with `/*.log`. */
  links: string
  files: LogFile[]
}

export interface Corpus {
  tree: Tree
  bytes: number
  rows: number
  tally: WrittenTally
}

/** Makes the directories, the empty files and the links. */
export function makeTree(root: string, files: number, seed: number): Tree {
  const random = new Random(seed)
  const tree: Tree = { root, links: join(root, 'containers'), files: [] }
  mkdirSync(tree.links, { recursive: true })
  for (let writer = 0; writer < files; writer++) {
    const app = APPS[writer % APPS.length]!
    const namespace = NAMESPACES[writer % NAMESPACES.length]!
    const pod = `${app}-${drawName(random, 10)}-${drawName(random, 5)}`
    const uid = [8, 4, 4, 4, 12].map((digits) => random.hex(digits)).join('-')
    const container = writer % 5 === 4 ? 'sidecar' : app
    const directory = join(root, 'pods', `${namespace}_${pod}_${uid}`, container)
    mkdirSync(directory, { recursive: true })
    const path = join(directory, '0.log')
    closeSync(openSync(path, 'wx', 0o640))
    symlinkSync(path, join(tree.links, `${pod}_${namespace}_${container}-${random.hex(64)}.log`))
    tree.files.push({ writer, path, pod, container })
  }
  return tree
}

function drawName(random: Random, length: number): string {
  return Array.from({ length }, () => random.pick(NAME_LETTERS)).join('')
}

/** Fills every file of the tree with an equal share of `bytes`, in rows of about `rowBytes`. */
export function fillTree(tree: Tree, bytes: number, rowBytes: number, seed: number): Corpus {
  const corpus: Corpus = { tree, bytes: 0, rows: 0, tally: {} }
  const share = Math.ceil(bytes / tree.files.length)
  for (const file of tree.files) fillFile(corpus, file, share, rowBytes, new Random(seed + 1000 + file.writer))
  return corpus
}

function fillFile(corpus: Corpus, file: LogFile, bytes: number, rowBytes: number, random: Random): void {
  const block = makeBlock(random, {
    writer: file.writer,
    blockBytes: Math.min(MIB, bytes),
    rowBytes,
    sigma: 0.25,
    stderrShare: 0.1,
    longLine: bytes >= MIB && file.writer % 3 === 0,
    paced: false,
  })
  const sums = [newWritten(), newWritten()]
  const clock = new RowClock()
  clock.set(Math.floor(Date.now() / 1000) - OLDEST_MINUTES * 60, random.below(1e9))
  const stepNanos = ((OLDEST_MINUTES - NEWEST_MINUTES) * 60e9) / ((bytes / block.bytes.length) * block.rows)
  const fd = openSync(file.path, 'w')
  let written = 0
  let sequence = 0
  let crc = 0
  let pieceBytes = 0
  let firstSeconds = 0
  let firstNanos = 0
  while (written < bytes) {
    let row = 0
    let open = false
    for (; row < block.rows && (open || written + block.starts[row]! < bytes); row++) {
      const start = block.starts[row]!
      clock.advance(stepNanos * (0.5 + random.next()))
      clock.write(block.bytes, start, block.digits[row]!)
      if (block.sequences[row]! >= 0) writeDigits(block.bytes, block.sequences[row]!, 10, sequence++)
      const piece = block.pieces[row]!
      const messageAt = block.messages[row]!
      const messageEnd = block.starts[row + 1]! - 1
      const into = sums[block.streams[row]!]!
      if (piece === WHOLE) {
        addMessage(into, crcOf(block.bytes, messageAt, messageEnd), messageEnd - messageAt)
        addTimes(into, clock.seconds, clock.nanos, clock)
      } else if (piece === FIRST_PIECE) {
        crc = crcOf(block.bytes, messageAt, messageEnd)
        pieceBytes = messageEnd - messageAt
        firstSeconds = clock.seconds
        firstNanos = clock.nanos
        open = true
      } else if (piece === LAST_PIECE) {
        addMessage(into, crcOf(block.bytes, messageAt, messageEnd, crc), pieceBytes + messageEnd - messageAt)
        addTimes(into, firstSeconds, firstNanos, clock)
        open = false
      }
    }
    const length = block.starts[row]!
    writeSync(fd, block.bytes, 0, length)
    written += length
    corpus.rows += row
  }
  // On disk before anything is measured: writing back a GiB in the background would be in the figures.
  fsyncSync(fd)
  closeSync(fd)
  corpus.bytes += written
  corpus.tally[tallyKey(file.pod, file.container, 'stdout')] = sums[0]!
  corpus.tally[tallyKey(file.pod, file.container, 'stderr')] = sums[1]!
}

function addTimes(sums: Written, firstSeconds: number, firstNanos: number, last: RowClock): void {
  sums.firstSeconds += firstSeconds % 65_536
  sums.firstNanos += firstNanos
  sums.lastSeconds += last.seconds % 65_536
  sums.lastNanos += last.nanos
}
