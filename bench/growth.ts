import type { Spread } from './comparison.ts'

export interface Growth {
  small: Held
  large: Held
  rows: GrowthRow[]
  notes: string[]
}

export interface Held {
  sizes: Record<string, number>
  readyMs: number
  startMiB: number
  endMiB: number
  redisMiB: number
  databaseMiB: number
}

export interface GrowthRow {
  name: string
  smallMicros: number
  largeMicros: number
  ratio: Spread
  smallP99Ms: number
  largeP99Ms: number
  isVoid: boolean
}
export const measureGrowth = async (_: object): Promise<Growth | undefined> => undefined
