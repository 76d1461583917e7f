/** For an option that may be given more than once. */
export const several = (value: string, before: string[] = []): string[] => [...before, value]
