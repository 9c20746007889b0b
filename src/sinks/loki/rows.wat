;; The rows that nearly all are, from CRI to Loki's entries, as parse/cri.ts, parse/timestamp.ts, parse/timeline.ts and
;; sinks/loki/wire.ts define them; rows.ts tells what lies where. It stops before the first row that it leaves to them.
(module
  (memory (export "memory") 1 1024)
  ;; Handles the rows in [at, end), which ends after a newline and has 16 bytes of slack; returns where it stopped.
  (func (export "rows") (param $at i32) (param $end i32) (result i32)
    (local $p i32) (local $nanos i32) (local $seconds i32) (local $stream i32) (local $digits i64) (local $count i32)
    (local $message i32) (local $bytes i32) (local $mask i32) (local $v v128) (local $newline v128)
    (local $entry i32) (local $to i32) (local $from i32) (local $last i32) (local $own i32) (local $ownNanos i32)
    (local $state i32) (local $length i32) (local $note i32) (local $metadata i32)
    (local.set $newline (i8x16.splat (i32.const 10)))
    (local.set $metadata (i32.load (i32.const 60)))
    (block $stop
      (loop $row
        (br_if $stop (i32.ge_u (local.get $at) (local.get $end)))
        ;; The second is that of the row before: 19 bytes.
        (br_if $stop (i64.ne (i64.load (local.get $at)) (i64.load (i32.const 0))))
        (br_if $stop (i64.ne (i64.load offset=8 (local.get $at)) (i64.load (i32.const 8))))
        (br_if $stop (i32.ne (i32.load offset=15 (local.get $at)) (i32.load (i32.const 15))))
        (local.set $seconds (i32.load (i32.const 20)))
        (local.set $p (i32.add (local.get $at) (i32.const 19)))
        (local.set $nanos (i32.const 0))
        (if (i32.eq (i32.load8_u (local.get $p)) (i32.const 0x2e)) (then
          (local.set $p (i32.add (local.get $p) (i32.const 1)))
          (local.set $digits (i64.load (local.get $p)))
          (if (i32.and
                (i64.eq (i64.and (local.get $digits) (i64.const 0xf0f0f0f0f0f0f0f0)) (i64.const 0x3030303030303030))
                (i64.eq (i64.and (i64.add (local.get $digits) (i64.const 0x0606060606060606)) (i64.const 0xf0f0f0f0f0f0f0f0))
                        (i64.const 0x3030303030303030)))
            (then
              ;; Eight digits at once, two by two.
              (local.set $digits (i64.and (local.get $digits) (i64.const 0x0f0f0f0f0f0f0f0f)))
              (local.set $digits (i64.and (i64.shr_u (i64.mul (local.get $digits) (i64.const 2561)) (i64.const 8))
                                          (i64.const 0x00ff00ff00ff00ff)))
              (local.set $digits (i64.and (i64.shr_u (i64.mul (local.get $digits) (i64.const 6553601)) (i64.const 16))
                                          (i64.const 0x0000ffff0000ffff)))
              (local.set $digits (i64.shr_u (i64.mul (local.get $digits) (i64.const 42949672960001)) (i64.const 32)))
              (local.set $nanos (i32.mul (i32.wrap_i64 (local.get $digits)) (i32.const 10)))
              (local.set $p (i32.add (local.get $p) (i32.const 8)))
              (local.set $count (i32.sub (i32.load8_u (local.get $p)) (i32.const 48)))
              (if (i32.lt_u (local.get $count) (i32.const 10)) (then
                (local.set $nanos (i32.add (local.get $nanos) (local.get $count)))
                (local.set $p (i32.add (local.get $p) (i32.const 1))))))
            (else
              (local.set $own (i32.const 100000000))
              (block $end_digits (loop $digit
                (local.set $count (i32.sub (i32.load8_u (local.get $p)) (i32.const 48)))
                (br_if $end_digits (i32.gt_u (local.get $count) (i32.const 9)))
                (local.set $nanos (i32.add (local.get $nanos) (i32.mul (local.get $count) (local.get $own))))
                (local.set $own (i32.div_u (local.get $own) (i32.const 10)))
                (local.set $p (i32.add (local.get $p) (i32.const 1)))
                (br $digit)))
              ;; No digit at all.
              (br_if $stop (i32.eq (local.get $own) (i32.const 100000000)))))))
        ;; The zone: Z, or the one of the row before.
        (if (i32.eq (i32.load8_u (local.get $p)) (i32.const 0x5a))
          (then (local.set $p (i32.add (local.get $p) (i32.const 1))))
          (else
            (br_if $stop (i32.ne (i32.load (local.get $p)) (i32.load (i32.const 24))))
            (br_if $stop (i32.ne (i32.load16_u offset=4 (local.get $p)) (i32.load16_u (i32.const 28))))
            (local.set $seconds (i32.sub (local.get $seconds) (i32.load (i32.const 32))))
            (local.set $p (i32.add (local.get $p) (i32.const 6)))))
        (local.set $stream (i64.eq (i64.load (local.get $p)) (i64.const 0x2072726564747320)))
        (if (i32.eqz (local.get $stream)) (then
          (br_if $stop (i64.ne (i64.load (local.get $p)) (i64.const 0x2074756f64747320)))))
        (br_if $stop (i32.ne (i32.load16_u offset=8 (local.get $p)) (i32.const 0x2046)))
        (local.set $message (i32.add (local.get $p) (i32.const 10)))
        (br_if $stop (i32.lt_s (local.get $seconds) (i32.load (i32.const 36))))
        (br_if $stop (i32.gt_s (local.get $seconds) (i32.load (i32.const 40))))
        (br_if $stop (i32.eqz (i32.load (i32.const 52))))
        (local.set $state (i32.add (i32.const 64) (i32.shl (local.get $stream) (i32.const 6))))
        (local.set $entry (i32.load (local.get $state)))
        (br_if $stop (i32.gt_u (local.get $entry) (i32.load offset=4 (local.get $state))))
        ;; The message is copied while its end is searched for.
        (local.set $to (i32.add (i32.add (local.get $entry) (local.get $metadata)) (i32.const 20)))
        (local.set $from (local.get $message))
        (local.set $last (i32.add (local.get $message) (i32.load (i32.const 44))))
        (block $found (loop $copy
          (local.set $v (v128.load (local.get $from)))
          (v128.store (local.get $to) (local.get $v))
          (local.set $mask (i8x16.bitmask (i8x16.eq (local.get $v) (local.get $newline))))
          (br_if $found (local.get $mask))
          (local.set $from (i32.add (local.get $from) (i32.const 16)))
          (local.set $to (i32.add (local.get $to) (i32.const 16)))
          (br_if $stop (i32.gt_u (local.get $from) (local.get $last)))
          (br $copy)))
        (local.set $from (i32.add (local.get $from) (i32.ctz (local.get $mask))))
        (local.set $bytes (i32.sub (local.get $from) (local.get $message)))
        (br_if $stop (i32.gt_u (local.get $from) (local.get $last)))
        ;; Room in the batch.
        (br_if $stop (i32.gt_s (local.get $bytes) (i32.load offset=8 (local.get $state))))
        ;; The time rule.
        (local.set $own (local.get $seconds))
        (local.set $ownNanos (local.get $nanos))
        (if (i32.eqz (i32.or
              (call $later (local.get $seconds) (local.get $nanos)
                (i32.load offset=16 (local.get $state)) (i32.load offset=20 (local.get $state)))
              (call $later (i32.load offset=24 (local.get $state)) (i32.load offset=28 (local.get $state))
                (local.get $seconds) (local.get $nanos))))
          (then
            (local.set $seconds (i32.load offset=16 (local.get $state)))
            (local.set $nanos (i32.add (i32.load offset=20 (local.get $state)) (i32.const 1)))
            (if (i32.eq (local.get $nanos) (i32.const 1000000000)) (then
              (local.set $seconds (i32.add (local.get $seconds) (i32.const 1)))
              (local.set $nanos (i32.const 0))))))
        (i32.store offset=16 (local.get $state) (local.get $seconds))
        (i32.store offset=20 (local.get $state) (local.get $nanos))
        (i32.store offset=24 (local.get $state) (local.get $own))
        (i32.store offset=28 (local.get $state) (local.get $ownNanos))
        (i64.store (i32.const 192) (i64.or (i64.extend_i32_u (local.get $own))
          (i64.shl (i64.extend_i32_u (local.get $ownNanos)) (i64.const 32))))
        (if (i32.lt_s (local.get $seconds) (i32.load offset=32 (local.get $state)))
          (then (i32.store offset=32 (local.get $state) (local.get $seconds))))
        (if (i32.gt_s (local.get $seconds) (i32.load offset=36 (local.get $state)))
          (then (i32.store offset=36 (local.get $state) (local.get $seconds))))
        ;; All before the line: tag and length, metadata (up to 15 bytes too many), timestamp, tag and length of the line.
        (local.set $length (i32.add (i32.add (local.get $bytes) (local.get $metadata)) (i32.const 17)))
        (i32.store (local.get $entry) (i32.or (i32.const 0x8012) (i32.or
          (i32.shl (i32.and (local.get $length) (i32.const 0x7f)) (i32.const 8))
          (i32.shl (i32.shr_u (local.get $length) (i32.const 7)) (i32.const 16)))))
        (local.set $to (i32.add (local.get $entry) (i32.const 3)))
        (local.set $p (i32.const 0))
        (block $end_metadata (loop $metadata_word
          (br_if $end_metadata (i32.ge_u (local.get $p) (local.get $metadata)))
          (v128.store (i32.add (local.get $to) (local.get $p)) (v128.load offset=256 (local.get $p)))
          (local.set $p (i32.add (local.get $p) (i32.const 16)))
          (br $metadata_word)))
        (local.set $to (i32.add (local.get $to) (local.get $metadata)))
        (i32.store (local.get $to) (i32.or (i32.const 0x80080c0a)
          (i32.shl (local.get $seconds) (i32.const 24))))
        (i32.store offset=4 (local.get $to) (i32.or (i32.const 0x00808080)
          (i32.or (i32.or
            (i32.and (i32.shr_u (local.get $seconds) (i32.const 7)) (i32.const 0x7f))
            (i32.shl (i32.and (i32.shr_u (local.get $seconds) (i32.const 14)) (i32.const 0x7f)) (i32.const 8)))
          (i32.or
            (i32.shl (i32.and (i32.shr_u (local.get $seconds) (i32.const 21)) (i32.const 0x7f)) (i32.const 16))
            (i32.shl (i32.shr_u (local.get $seconds) (i32.const 28)) (i32.const 24))))))
        (i32.store offset=8 (local.get $to) (i32.or (i32.const 0x80808010)
          (i32.or (i32.or
            (i32.shl (i32.and (local.get $nanos) (i32.const 0x7f)) (i32.const 8))
            (i32.shl (i32.and (i32.shr_u (local.get $nanos) (i32.const 7)) (i32.const 0x7f)) (i32.const 16)))
            (i32.shl (i32.shr_u (local.get $nanos) (i32.const 14)) (i32.const 24)))))
        (i32.store offset=12 (local.get $to) (i32.or (i32.const 0x80120080)
          (i32.or (i32.or
            (i32.and (i32.shr_u (local.get $nanos) (i32.const 21)) (i32.const 0x7f))
            (i32.shl (i32.shr_u (local.get $nanos) (i32.const 28)) (i32.const 8)))
            (i32.shl (local.get $bytes) (i32.const 24)))))
        (i32.store8 offset=16 (local.get $to) (i32.shr_u (local.get $bytes) (i32.const 7)))
        (local.set $to (i32.add (i32.add (local.get $to) (i32.const 17)) (local.get $bytes)))
        ;; The note of the record: its offset in the file, its bytes plus 2^32 for its one line.
        (local.set $note (i32.load offset=40 (local.get $state)))
        (f64.store (local.get $note) (f64.add (f64.load (i32.const 200)) (f64.convert_i32_u (local.get $at))))
        (local.set $length (i32.sub (i32.add (local.get $from) (i32.const 1)) (local.get $at)))
        (f64.store offset=8 (local.get $note)
          (f64.add (f64.const 4294967296) (f64.convert_i32_u (local.get $length))))
        (i32.store offset=40 (local.get $state) (i32.add (local.get $note) (i32.const 16)))
        (i32.store offset=44 (local.get $state) (i32.add (i32.load offset=44 (local.get $state)) (local.get $length)))
        ;; What is left: bytes of the batch, for the other stream too where they share it; records.
        (local.set $length (i32.sub (local.get $to) (local.get $entry)))
        (i32.store (local.get $state) (local.get $to))
        (i32.store offset=8 (local.get $state) (i32.sub (i32.load offset=8 (local.get $state)) (local.get $length)))
        (if (i32.load (i32.const 48)) (then
          (local.set $state (i32.xor (local.get $state) (i32.const 0xc0)))
          (i32.store offset=8 (local.get $state) (i32.sub (i32.load offset=8 (local.get $state)) (local.get $length)))))
        (i32.store (i32.const 52) (i32.sub (i32.load (i32.const 52)) (i32.const 1)))
        (local.set $at (i32.add (local.get $from) (i32.const 1)))
        (br $row)))
    (local.get $at))
  (func $later (param $s i32) (param $n i32) (param $s2 i32) (param $n2 i32) (result i32)
    (i64.gt_s
      (i64.or (i64.shl (i64.extend_i32_s (local.get $s)) (i64.const 32)) (i64.extend_i32_u (local.get $n)))
      (i64.or (i64.shl (i64.extend_i32_s (local.get $s2)) (i64.const 32)) (i64.extend_i32_u (local.get $n2)))))
)
