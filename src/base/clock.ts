/** Time is an argument everywhere: nothing pure reads it by itself. */
export interface Clock {
  /** Milliseconds that only grow, and count suspend (CLOCK_BOOTTIME). For ages and timers. */
  now(): number;
  /** Milliseconds since 1970, may jump. For what people and peers read. */
  wall(): number;
}
