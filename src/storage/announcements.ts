/**
 * Hints between the processes of one installation: "there is something new". A hint may be lost, so nothing may depend
 * on it but how soon something is noticed.
 */
import { openSubscriber, type RedisConnection, type Subscriber } from './redis.ts'

export interface Announcements {
  /** Tells every process that listens, this one included. Never waits and never throws. */
  publish(topic: string): void
  /** From now on the listener is told of the topic, and whenever something may have been missed. */
  subscribe(topic: string, listener: () => void): void
  close(): void
}

export interface RedisAnnouncementsOptions {
  redis: RedisConnection
  prefix: string
  /** Told when a hint could not be sent. */
  onFault?: ((error: unknown) => void) | undefined
}

/** Over Redis. Its second connection is opened with the first subscription. */
export function createRedisAnnouncements({ redis, prefix, onFault }: RedisAnnouncementsOptions): Announcements {
  const listeners = createListeners()
  const channelOf = (topic: string) => `${prefix}announcements:${topic}`
  let subscriber: Subscriber | undefined
  return {
    publish(topic) {
      redis.publish(channelOf(topic), '').catch((error: unknown) => onFault?.(error))
    },
    subscribe(topic, listener) {
      const channel = channelOf(topic)
      listeners.add(channel, listener)
      subscriber ??= openSubscriber(redis, {
        onMessage: listeners.tell,
        // What was said while nobody listened is not said again.
        onReady: listeners.tellAll,
      })
      subscriber.subscribe(channel)
    },
    close: () => subscriber?.close(),
  }
}

/** Within this process, for an installation without Redis. */
export function createLocalAnnouncements(): Announcements {
  const listeners = createListeners()
  return { publish: listeners.tell, subscribe: listeners.add, close: () => undefined }
}

function createListeners() {
  const byTopic = new Map<string, Set<() => void>>()
  const tell = (topic: string): void => {
    for (const listener of byTopic.get(topic) ?? []) listener()
  }
  return {
    add(topic: string, listener: () => void): void {
      byTopic.set(topic, (byTopic.get(topic) ?? new Set()).add(listener))
    },
    tell,
    tellAll(): void {
      for (const topic of byTopic.keys()) tell(topic)
    },
  }
}
