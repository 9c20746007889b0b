// How much CPU time the process has used, as a port: the simulation has none.

/** Milliseconds of CPU since the process began, user and system, over all of its threads. */
export type CpuTime = () => number

export const realCpuTime: CpuTime = () => {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}
