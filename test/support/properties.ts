// fast-check, with cases that are drawn by the commit, as the simulation's worlds are: each landing tries others, and every
// machine tries the same, so what fails for one fails for all. FC_SEED in the environment takes its place.
import fc from 'fast-check'
import { firstSeed } from '../sim/seeds.ts'

fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: Number(process.env.FC_SEED ?? firstSeed()) | 0 })

export default fc
