// A quarter of the worlds that this commit explores; in files of their own, so that they run side by side.
import t from 'tap'
import { keepsPromises } from './worlds.ts'

t.test('every promise is kept', (t) => keepsPromises(t, 3))
