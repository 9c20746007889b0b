// The writers of a simulated world leave it so that a healthy agent can tell all that there is to tell.
import t from 'tap'
import { Draw } from './draw.ts'
import { drawFaults } from './faults.ts'
import { SimClock } from './sim-clock.ts'
import { type Inode, SimDisk } from './sim-disk.ts'
import { Truth } from './truth.ts'
import { Writer } from './writer.ts'

t.test('a line in pieces of which the end is destroyed is not the last of its stream', async (t) => {
  for (const isDestroyed of [true, false]) {
    const draw = new Draw(2)
    const disk = new SimDisk({ now: () => 0, reuse: () => -1 })
    const truth = new Truth(1)
    const log = truth.newLog('pods:sim/pod/app/uid')
    let inode: Inode = disk.create('/0')
    const faults = { ...drawFaults(draw, { always: ['pieces'] }), burstLinesMax: 1 }
    const writer = new Writer(log, inode, 'containerd', { clock: new SimClock(), disk, truth, draw, faults })
    const last = () => log.byNumber.get(2 * (log.seqs[0] - 1))
    for (let i = 1; i < 100 && (last()?.rows.length ?? 0) < 2; i++) {
      inode = disk.create(`/${i}`)
      writer.reopen(inode)
      writer.burst()
    }
    const text = String(last()?.text)
    t.ok((last()?.rows.length ?? 0) > 1)
    if (isDestroyed) truth.drop(inode)
    writer.finish()
    t.equal(String(last()?.text).startsWith('heartbeat'), isDestroyed)
    if (!isDestroyed) t.equal(String(last()?.text), text)
  }
})
