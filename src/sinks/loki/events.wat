;; Audit events as API servers write them, from lines to Loki's entries: `scan` finds the facts of events, as audit/event.ts
;; does, and `write` makes entries of them, as audit.ts and wire.ts do; events-layout.ts tells what lies where. A scan follows the
;; members in the order in which API servers write them, and depth; it never searches for a key. It stops before the
;; first line that is otherwise.
(module
  (import "rows" "memory" (memory 1 1024))
  ;; Where its constants and its rows of facts lie.
  (import "place" "base" (global $base i32))

  ;; Whether the text of up to 16 bytes that is constant `k` stands at `at`.
  (func $is (param $at i32) (param $k i32) (result i32)
    (local.set $k (i32.add (global.get $base) (i32.shl (local.get $k) (i32.const 5))))
    (i32.eqz (v128.any_true (v128.and (v128.load offset=16 (local.get $k))
      (v128.xor (v128.load (local.get $k)) (v128.load (local.get $at)))))))

  ;; Where the string from `at` on ends; 0: not before `end`, or there is an escape in it.
  (func $plain (param $at i32) (param $end i32) (result i32)
    (local $v v128) (local $mask i32)
    (loop $next
      (local.set $v (v128.load (local.get $at)))
      (local.set $mask (i8x16.bitmask (v128.or
        (i8x16.eq (local.get $v) (i8x16.splat (i32.const 0x22)))
        (i8x16.eq (local.get $v) (i8x16.splat (i32.const 0x5c))))))
      (if (local.get $mask) (then
        (local.set $at (i32.add (local.get $at) (i32.ctz (local.get $mask))))
        (return (select (local.get $at) (i32.const 0) (i32.and
          (i32.lt_u (local.get $at) (local.get $end))
          (i32.eq (i32.load8_u (local.get $at)) (i32.const 0x22)))))))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
    (i32.const 0))

  ;; Where the string from `at` on ends; 0: not before `end`.
  (func $string (param $at i32) (param $end i32) (result i32)
    (local $v v128) (local $mask i32)
    (loop $next
      (local.set $v (v128.load (local.get $at)))
      (local.set $mask (i8x16.bitmask (v128.or
        (i8x16.eq (local.get $v) (i8x16.splat (i32.const 0x22)))
        (i8x16.eq (local.get $v) (i8x16.splat (i32.const 0x5c))))))
      (if (local.get $mask)
        (then
          (local.set $at (i32.add (local.get $at) (i32.ctz (local.get $mask))))
          (if (i32.eq (i32.load8_u (local.get $at)) (i32.const 0x22)) (then
            (return (select (local.get $at) (i32.const 0) (i32.lt_u (local.get $at) (local.get $end))))))
          (local.set $at (i32.add (local.get $at) (i32.const 2))))
        (else (local.set $at (i32.add (local.get $at) (i32.const 16)))))
      (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
    (i32.const 0))

  ;; The bits of 64 bytes: which of them are `byte`, when `or` was added to each.
  (func $bits (param $at i32) (param $or v128) (param $byte v128) (result i64)
    (i64.or
      (i64.or
        (i64.extend_i32_u (i8x16.bitmask (i8x16.eq (local.get $byte)
          (v128.or (local.get $or) (v128.load (local.get $at))))))
        (i64.shl (i64.extend_i32_u (i8x16.bitmask (i8x16.eq (local.get $byte)
          (v128.or (local.get $or) (v128.load offset=16 (local.get $at)))))) (i64.const 16)))
      (i64.or
        (i64.shl (i64.extend_i32_u (i8x16.bitmask (i8x16.eq (local.get $byte)
          (v128.or (local.get $or) (v128.load offset=32 (local.get $at)))))) (i64.const 32))
        (i64.shl (i64.extend_i32_u (i8x16.bitmask (i8x16.eq (local.get $byte)
          (v128.or (local.get $or) (v128.load offset=48 (local.get $at)))))) (i64.const 48)))))

  ;; Where the object or array at `at` ends; 0: not before `end`, or there is a backslash outside of strings. 64 bytes at a time:
  ;; a bit for each byte says what it is.
  (func $close (param $at i32) (param $end i32) (result i32)
    (local $quotes i64) (local $slashes i64) (local $strings i64) (local $inString i64) (local $escaped i64)
    (local $follows i64) (local $starts i64) (local $sum i64) (local $open i64) (local $shut i64) (local $depth i32)
    (block $none
      (loop $next
        (br_if $none (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $quotes (call $bits (local.get $at) (v128.const i64x2 0 0) (i8x16.splat (i32.const 0x22))))
        (local.set $slashes (call $bits (local.get $at) (v128.const i64x2 0 0) (i8x16.splat (i32.const 0x5c))))
        (local.set $open (local.get $slashes))
        (if (i64.ne (i64.or (local.get $slashes) (local.get $escaped)) (i64.const 0)) (then
          ;; A quote is escaped behind an odd number of backslashes.
          (local.set $slashes (i64.and (local.get $slashes) (i64.xor (local.get $escaped) (i64.const -1))))
          (local.set $follows (i64.or (i64.shl (local.get $slashes) (i64.const 1)) (local.get $escaped)))
          (local.set $starts (i64.and (i64.and (local.get $slashes) (i64.const 0xaaaaaaaaaaaaaaaa))
            (i64.xor (local.get $follows) (i64.const -1))))
          (local.set $sum (i64.add (local.get $starts) (local.get $slashes)))
          (local.set $escaped (i64.extend_i32_u (i64.lt_u (local.get $sum) (local.get $starts))))
          (local.set $quotes (i64.and (local.get $quotes) (i64.xor (i64.const -1) (i64.and (local.get $follows)
            (i64.xor (i64.const 0x5555555555555555) (i64.shl (local.get $sum) (i64.const 1)))))))))
        ;; Each bit becomes the parity of the quotes up to it.
        (local.set $strings (i64.xor (local.get $quotes) (i64.shl (local.get $quotes) (i64.const 1))))
        (local.set $strings (i64.xor (local.get $strings) (i64.shl (local.get $strings) (i64.const 2))))
        (local.set $strings (i64.xor (local.get $strings) (i64.shl (local.get $strings) (i64.const 4))))
        (local.set $strings (i64.xor (local.get $strings) (i64.shl (local.get $strings) (i64.const 8))))
        (local.set $strings (i64.xor (local.get $strings) (i64.shl (local.get $strings) (i64.const 16))))
        (local.set $strings (i64.xor (local.get $strings) (i64.shl (local.get $strings) (i64.const 32))))
        (local.set $strings (i64.xor (local.get $strings) (local.get $inString)))
        (local.set $inString (i64.shr_s (local.get $strings) (i64.const 63)))
        (local.set $strings (i64.xor (local.get $strings) (i64.const -1)))
        ;; From here on they are the bytes outside of strings.
        (br_if $none (i64.ne (i64.and (local.get $open) (local.get $strings)) (i64.const 0)))
        (local.set $open (i64.and (local.get $strings)
          (call $bits (local.get $at) (i8x16.splat (i32.const 0x20)) (i8x16.splat (i32.const 0x7b)))))
        (local.set $shut (i64.and (local.get $strings)
          (call $bits (local.get $at) (i8x16.splat (i32.const 0x20)) (i8x16.splat (i32.const 0x7d)))))
        (if (i32.ge_s (i32.wrap_i64 (i64.popcnt (local.get $shut))) (local.get $depth))
          (then
            ;; It may end here.
            (local.set $sum (i64.or (local.get $open) (local.get $shut)))
            (block $passed (loop $bracket
              (br_if $passed (i64.eqz (local.get $sum)))
              (local.set $starts (i64.and (local.get $sum) (i64.sub (i64.const 0) (local.get $sum))))
              (if (i64.ne (i64.and (local.get $starts) (local.get $open)) (i64.const 0))
                (then (local.set $depth (i32.add (local.get $depth) (i32.const 1))))
                (else
                  (local.set $depth (i32.sub (local.get $depth) (i32.const 1)))
                  (if (i32.eqz (local.get $depth)) (then
                    (local.set $at (i32.add (i32.add (local.get $at) (i32.const 1))
                      (i32.wrap_i64 (i64.ctz (local.get $starts)))))
                    (return (select (local.get $at) (i32.const 0)
                      (i32.le_u (local.get $at) (local.get $end))))))))
              (local.set $sum (i64.xor (local.get $sum) (local.get $starts)))
              (br $bracket))))
          (else
            (local.set $depth (i32.sub
              (i32.add (local.get $depth) (i32.wrap_i64 (i64.popcnt (local.get $open))))
              (i32.wrap_i64 (i64.popcnt (local.get $shut)))))))
        (local.set $at (i32.add (local.get $at) (i32.const 64)))
        (br $next)))
    (i32.const 0))

  ;; Reads the members of the object at `at`, whose facts go to `row`: of 0 a user, 1 an objectRef, 2 a responseStatus. Returns
  ;; where it ends; 0: it is not made in the usual way.
  (func $members (param $at i32) (param $end i32) (param $row i32) (param $where i32) (result i32)
    (local $key i32) (local $length i32) (local $value i32) (local $close i32) (local $byte i32) (local $word i64)
    (local $number i32)
    (local.set $at (i32.add (local.get $at) (i32.const 1)))
    (if (i32.eq (i32.load8_u (local.get $at)) (i32.const 0x7d)) (then
      (return (i32.add (local.get $at) (i32.const 1)))))
    (block $none
      (loop $member
        (br_if $none (i32.ne (i32.load8_u (local.get $at)) (i32.const 0x22)))
        (local.set $key (i32.add (local.get $at) (i32.const 1)))
        (local.set $close (call $plain (local.get $key) (local.get $end)))
        (br_if $none (i32.eqz (local.get $close)))
        (local.set $length (i32.sub (local.get $close) (local.get $key)))
        (br_if $none (i32.ne (i32.load8_u offset=1 (local.get $close)) (i32.const 0x3a)))
        (local.set $word (i64.load (local.get $key)))
        (local.set $value (i32.add (local.get $close) (i32.const 2)))
        (local.set $byte (i32.load8_u (local.get $value)))
        (if (i32.eq (local.get $byte) (i32.const 0x22))
          (then
            (local.set $value (i32.add (local.get $value) (i32.const 1)))
            (local.set $close (call $string (local.get $value) (local.get $end)))
            (br_if $none (i32.eqz (local.get $close)))
            (if (i32.eqz (local.get $where))
              (then
                ;; username
                (if (i32.and (i32.eq (local.get $length) (i32.const 8))
                             (i64.eq (local.get $word) (i64.const 0x656d616e72657375)))
                  (then
                    (i32.store offset=72 (local.get $row) (local.get $value))
                    (i32.store offset=76 (local.get $row) (local.get $close)))))
              (else
                (if (i32.eq (local.get $where) (i32.const 1))
                  (then
                    (if (i32.eq (local.get $length) (i32.const 8)) (then
                      ;; resource
                      (if (i64.eq (local.get $word) (i64.const 0x656372756f736572)) (then
                        (i32.store offset=80 (local.get $row) (local.get $value))
                        (i32.store offset=84 (local.get $row) (local.get $close))))
                      ;; apiGroup
                      (if (i64.eq (local.get $word) (i64.const 0x70756f7247697061)) (then
                        (i32.store offset=128 (local.get $row) (local.get $value))
                        (i32.store offset=132 (local.get $row) (local.get $close))))))
                    ;; namespac e
                    (if (i32.and (i32.and (i32.eq (local.get $length) (i32.const 9))
                                          (i64.eq (local.get $word) (i64.const 0x63617073656d616e)))
                                 (i32.eq (i32.load8_u offset=8 (local.get $key)) (i32.const 0x65)))
                      (then
                        (i32.store offset=88 (local.get $row) (local.get $value))
                        (i32.store offset=92 (local.get $row) (local.get $close))))
                    ;; name
                    (if (i32.and (i32.eq (local.get $length) (i32.const 4))
                                 (i32.eq (i32.wrap_i64 (local.get $word)) (i32.const 0x656d616e)))
                      (then
                        (i32.store offset=96 (local.get $row) (local.get $value))
                        (i32.store offset=100 (local.get $row) (local.get $close))))
                    ;; subresou rce
                    (if (i32.and (i32.and (i32.eq (local.get $length) (i32.const 11))
                                          (i64.eq (local.get $word) (i64.const 0x756f736572627573)))
                                 (i32.eq (i32.load offset=7 (local.get $key)) (i32.const 0x65637275)))
                      (then
                        (i32.store offset=120 (local.get $row) (local.get $value))
                        (i32.store offset=124 (local.get $row) (local.get $close)))))
                  (else
                    ;; A code that is a text: not here.
                    (br_if $none (i32.and (i32.eq (local.get $length) (i32.const 4))
                      (i32.eq (i32.wrap_i64 (local.get $word)) (i32.const 0x65646f63))))))))
            (local.set $at (i32.add (local.get $close) (i32.const 1))))
          (else
            (br_if $none (i32.eq (local.get $where) (i32.const 1)))
            (if (i32.eq (i32.or (local.get $byte) (i32.const 0x20)) (i32.const 0x7b))
              (then
                ;; In nearly all events it is the empty `metadata` of a status.
                (local.set $at (i32.add (local.get $value) (i32.const 2)))
                (if (i32.ne (i32.load16_u (local.get $value)) (i32.const 0x7d7b)) (then
                  (local.set $at (call $close (local.get $value) (local.get $end)))
                  (br_if $none (i32.eqz (local.get $at))))))
              (else
                ;; A number without a zero in front.
                (br_if $none (i32.eq (local.get $byte) (i32.const 0x30)))
                (local.set $at (local.get $value))
                (local.set $number (i32.const 0))
                (block $end_digits (loop $digit
                  (local.set $byte (i32.sub (i32.load8_u (local.get $at)) (i32.const 48)))
                  (br_if $end_digits (i32.gt_u (local.get $byte) (i32.const 9)))
                  (local.set $number (i32.add (i32.mul (local.get $number) (i32.const 10)) (local.get $byte)))
                  (local.set $at (i32.add (local.get $at) (i32.const 1)))
                  (br $digit)))
                (br_if $none (i32.eq (local.get $at) (local.get $value)))
                (br_if $none (i32.gt_u (i32.sub (local.get $at) (local.get $value)) (i32.const 9)))))
            ;; code
            (if (i32.and (i32.eq (local.get $where) (i32.const 2))
                  (i32.and (i32.eq (local.get $length) (i32.const 4))
                    (i32.eq (i32.wrap_i64 (local.get $word)) (i32.const 0x65646f63))))
              (then
                (br_if $none (i32.eqz (local.get $number)))
                (i32.store offset=16 (local.get $row) (local.get $number))
                (i32.store offset=176 (local.get $row) (local.get $value))
                (i32.store offset=180 (local.get $row) (local.get $at))))))
        (local.set $byte (i32.load8_u (local.get $at)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br_if $member (i32.eq (local.get $byte) (i32.const 0x2c)))
        (br_if $none (i32.ne (local.get $byte) (i32.const 0x7d)))
        (return (select (local.get $at) (i32.const 0) (i32.le_u (local.get $at) (local.get $end))))))
    (i32.const 0))

  ;; Eight digits as a number; -1 when one of them is none.
  (func $digits (param $text i64) (result i32)
    (if (i32.eqz (i32.and
          (i64.eq (i64.and (local.get $text) (i64.const 0xf0f0f0f0f0f0f0f0)) (i64.const 0x3030303030303030))
          (i64.eq (i64.and (i64.add (local.get $text) (i64.const 0x0606060606060606)) (i64.const 0xf0f0f0f0f0f0f0f0))
                  (i64.const 0x3030303030303030))))
      (then (return (i32.const -1))))
    (local.set $text (i64.and (local.get $text) (i64.const 0x0f0f0f0f0f0f0f0f)))
    (local.set $text (i64.and (i64.shr_u (i64.mul (local.get $text) (i64.const 2561)) (i64.const 8))
                              (i64.const 0x00ff00ff00ff00ff)))
    (local.set $text (i64.and (i64.shr_u (i64.mul (local.get $text) (i64.const 6553601)) (i64.const 16))
                              (i64.const 0x0000ffff0000ffff)))
    (i32.wrap_i64 (i64.shr_u (i64.mul (local.get $text) (i64.const 42949672960001)) (i64.const 32))))

  ;; Reads the time of 27 bytes at `at`, of the day that is noted, to the row. False: it is another day, or written otherwise.
  (func $time (param $at i32) (param $row i32) (result i32)
    (local $clock i64) (local $fraction i64) (local $hms i32) (local $minutes i32) (local $seconds i32)
    (if (i64.ne (i64.load (local.get $at)) (i64.load offset=2048 (global.get $base))) (then (return (i32.const 0))))
    (if (i32.ne (i32.load offset=7 (local.get $at)) (i32.load offset=2055 (global.get $base)))
      (then (return (i32.const 0))))
    (local.set $clock (i64.load offset=11 (local.get $at)))
    (local.set $fraction (i64.load offset=19 (local.get $at)))
    (if (i64.ne (i64.and (local.get $clock) (i64.const 0x0000ff0000ff0000)) (i64.const 0x00003a00003a0000))
      (then (return (i32.const 0))))
    (if (i64.ne (i64.and (local.get $fraction) (i64.const 0xff000000000000ff)) (i64.const 0x5a0000000000002e))
      (then (return (i32.const 0))))
    ;; HH:MM:SS to 00HHMMSS
    (local.set $hms (call $digits (i64.or (i64.const 0x3030) (i64.or (i64.or
      (i64.shl (i64.and (local.get $clock) (i64.const 0xffff)) (i64.const 16))
      (i64.shl (i64.and (local.get $clock) (i64.const 0xffff000000)) (i64.const 8)))
      (i64.and (local.get $clock) (i64.const 0xffff000000000000))))))
    (if (i32.lt_s (local.get $hms) (i32.const 0)) (then (return (i32.const 0))))
    (local.set $seconds (i32.rem_u (local.get $hms) (i32.const 100)))
    (local.set $minutes (i32.rem_u (i32.div_u (local.get $hms) (i32.const 100)) (i32.const 100)))
    (local.set $hms (i32.div_u (local.get $hms) (i32.const 10000)))
    (if (i32.or (i32.gt_u (local.get $hms) (i32.const 23))
                (i32.or (i32.gt_u (local.get $minutes) (i32.const 59)) (i32.gt_u (local.get $seconds) (i32.const 59))))
      (then (return (i32.const 0))))
    (i32.store offset=8 (local.get $row) (i32.add (i32.load offset=2060 (global.get $base))
      (i32.add (i32.mul (local.get $hms) (i32.const 3600))
        (i32.add (i32.mul (local.get $minutes) (i32.const 60)) (local.get $seconds)))))
    (local.set $seconds (call $digits (i64.or (i64.const 0x3030)
      (i64.shl (i64.and (i64.shr_u (local.get $fraction) (i64.const 8)) (i64.const 0xffffffffffff)) (i64.const 16)))))
    (if (i32.lt_s (local.get $seconds) (i32.const 0)) (then (return (i32.const 0))))
    (i32.store offset=12 (local.get $row) (i32.mul (local.get $seconds) (i32.const 1000)))
    (i32.const 1))

  ;; Two hashes of id and stage, as audit/ids.ts makes them, to the row.
  (func $hash (param $row i32)
    (local $at i32) (local $end i32) (local $first i32) (local $second i32) (local $word i32) (local $fact i32)
    (local.set $first (i32.const 0x811c9dc5))
    (local.set $second (i32.const 0x2f0b4a1d))
    (local.set $fact (local.get $row))
    (loop $next
      (local.set $at (i32.load offset=48 (local.get $fact)))
      (local.set $end (i32.load offset=52 (local.get $fact)))
      (block $end_words (loop $words
        (br_if $end_words (i32.gt_u (i32.add (local.get $at) (i32.const 4)) (local.get $end)))
        (local.set $word (i32.load (local.get $at)))
        (local.set $first (i32.xor
          (i32.mul (i32.xor (local.get $first) (local.get $word)) (i32.const 0x01000193))
          (i32.shr_u (local.get $first) (i32.const 13))))
        (local.set $second (i32.xor
          (i32.mul (i32.add (local.get $second) (local.get $word)) (i32.const 0x85ebca6b))
          (i32.shr_u (local.get $second) (i32.const 16))))
        (local.set $at (i32.add (local.get $at) (i32.const 4)))
        (br $words)))
      (block $end_bytes (loop $bytes
        (br_if $end_bytes (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $word (i32.load8_u (local.get $at)))
        (local.set $first (i32.mul (i32.xor (local.get $first) (local.get $word)) (i32.const 0x01000193)))
        (local.set $second (i32.mul (i32.add (local.get $second) (local.get $word)) (i32.const 0x85ebca6b)))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $bytes)))
      (local.set $first (i32.mul (i32.xor (local.get $first) (i32.const 0xff)) (i32.const 0x01000193)))
      (local.set $second (i32.mul (i32.xor (local.get $second) (i32.const 0xff)) (i32.const 0x85ebca6b)))
      (local.set $fact (i32.add (local.get $fact) (i32.const 8)))
      (br_if $next (i32.eq (local.get $fact) (i32.add (local.get $row) (i32.const 8)))))
    (i32.store offset=28 (local.get $row) (local.get $first))
    (i32.store offset=32 (local.get $row) (local.get $second)))

  ;; Bytes of a pair of structured metadata whose name has `name` bytes and whose value is [start, end); 0 for an empty value,
  ;; -1 where it is not made here.
  (func $pairBytes (param $name i32) (param $start i32) (param $end i32) (result i32)
    (local $bytes i32)
    (local.set $bytes (i32.sub (local.get $end) (local.get $start)))
    (if (i32.eqz (local.get $bytes)) (then (return (i32.const 0))))
    (if (i32.gt_u (local.get $bytes) (i32.const 512)) (then (return (i32.const -1))))
    (local.set $bytes (i32.add (i32.add (local.get $name) (i32.const 4))
      (i32.add (local.get $bytes) (i32.ge_u (local.get $bytes) (i32.const 128)))))
    (i32.add (i32.add (local.get $bytes) (i32.const 2)) (i32.ge_u (local.get $bytes) (i32.const 128))))

  ;; Whether the `bytes` bytes at `a` and at `b` are equal; there are 48 at least.
  (func $same (param $a i32) (param $b i32) (param $bytes i32) (result i32)
    (local $last i32)
    (local.set $last (i32.sub (i32.add (local.get $a) (local.get $bytes)) (i32.const 48)))
    (block $no
      (loop $next
        (br_if $no (v128.any_true (v128.or (v128.or
          (v128.xor (v128.load (local.get $a)) (v128.load (local.get $b)))
          (v128.xor (v128.load offset=16 (local.get $a)) (v128.load offset=16 (local.get $b))))
          (v128.xor (v128.load offset=32 (local.get $a)) (v128.load offset=32 (local.get $b))))))
        (if (i32.ge_u (local.get $a) (local.get $last)) (then (return (i32.const 1))))
        ;; The last 48 may overlap those before.
        (local.set $bytes (select (i32.const 48) (i32.sub (local.get $last) (local.get $a))
          (i32.lt_u (i32.add (local.get $a) (i32.const 48)) (local.get $last))))
        (local.set $a (i32.add (local.get $a) (local.get $bytes)))
        (local.set $b (i32.add (local.get $b) (local.get $bytes)))
        (br $next)))
    (i32.const 0))

  ;; The slot of a text that may stand in other lines of this scan too, by 32 bytes of it. A slot tells where the text begins and
  ;; ends, and the number of its row.
  (func $slot (param $at i32) (result i32)
    (i32.add (i32.add (global.get $base) (i32.const 2304)) (i32.shl (i32.wrap_i64 (i64.shr_u
      (i64.mul (i64.const 0x9e3779b97f4a7c15)
        (i64.xor (i64.load offset=24 (local.get $at)) (i64.mul (i64.const 0x9e3779b97f4a7c15)
          (i64.xor (i64.load offset=16 (local.get $at)) (i64.mul (i64.const 0x9e3779b97f4a7c15)
            (i64.xor (i64.load offset=8 (local.get $at)) (i64.mul (i64.const 0x9e3779b97f4a7c15)
              (i64.load (local.get $at)))))))))
      (i64.const 58))) (i32.const 4))))

  (func $remember (param $slot i32) (param $start i32) (param $end i32) (param $number i32)
    (if (i32.ge_u (i32.sub (local.get $end) (local.get $start)) (i32.const 48)) (then
      (i32.store (local.get $slot) (local.get $start))
      (i32.store offset=4 (local.get $slot) (local.get $end))
      (i32.store offset=8 (local.get $slot) (local.get $number)))))

  ;; Finds the facts of the events in [at, end), for rows in [row, rowsEnd). The last line ends before `limit`, and there are 64
  ;; bytes more. Returns where it stopped. How many rows it filled is noted, and where the time of another day stands.
  (func (export "scan") (param $at i32) (param $end i32) (param $limit i32) (param $row i32) (param $rowsEnd i32)
    (result i32)
    (local $eol i32) (local $p i32) (local $start i32) (local $bytes i32) (local $sum i32) (local $word i64)
    (local $newline v128) (local $slot i32) (local $number i32) (local $known i32)
    (local.set $newline (i8x16.splat (i32.const 10)))
    (i32.store offset=2064 (global.get $base) (i32.const 0))
    (memory.fill (i32.add (global.get $base) (i32.const 2304)) (i32.const 0) (i32.const 1024))
    (block $stop
      (loop $line
        (br_if $stop (i32.ge_u (local.get $at) (local.get $end)))
        (br_if $stop (i32.ge_u (local.get $row) (local.get $rowsEnd)))
        (br_if $stop (i32.eqz (call $is (local.get $at) (i32.const 0))))
        (br_if $stop (i32.eqz (call $is (i32.add (local.get $at) (i32.const 16)) (i32.const 1))))
        (br_if $stop (i32.eqz (call $is (i32.add (local.get $at) (i32.const 32)) (i32.const 2))))
        (br_if $stop (i32.eqz (call $is (i32.add (local.get $at) (i32.const 48)) (i32.const 3))))
        ;; The line's end.
        (local.set $eol (local.get $at))
        (block $found (loop $search
          (br_if $stop (i32.ge_u (local.get $eol) (local.get $limit)))
          (br_if $found (v128.any_true (v128.or
            (v128.or (i8x16.eq (v128.load (local.get $eol)) (local.get $newline))
                     (i8x16.eq (v128.load offset=16 (local.get $eol)) (local.get $newline)))
            (v128.or (i8x16.eq (v128.load offset=32 (local.get $eol)) (local.get $newline))
                     (i8x16.eq (v128.load offset=48 (local.get $eol)) (local.get $newline))))))
          (local.set $eol (i32.add (local.get $eol) (i32.const 64)))
          (br $search)))
        (local.set $eol (i32.add (local.get $eol) (i32.wrap_i64 (i64.ctz
          (call $bits (local.get $eol) (v128.const i64x2 0 0) (local.get $newline))))))
        ;; Whose length takes more than two bytes is not made here.
        (br_if $stop (i32.gt_u (i32.sub (local.get $eol) (local.get $at)) (i32.const 16000)))
        (i32.store offset=44 (local.get $row) (i32.const 0))
        (v128.store offset=48 (local.get $row) (v128.const i64x2 0 0))
        (v128.store offset=64 (local.get $row) (v128.const i64x2 0 0))
        (v128.store offset=80 (local.get $row) (v128.const i64x2 0 0))
        (v128.store offset=96 (local.get $row) (v128.const i64x2 0 0))
        (v128.store offset=112 (local.get $row) (v128.const i64x2 0 0))
        (v128.store offset=128 (local.get $row) (v128.const i64x2 0 0))
        (v128.store offset=144 (local.get $row) (v128.const i64x2 0 0))
        (v128.store offset=160 (local.get $row) (v128.const i64x2 0 0))
        (v128.store offset=176 (local.get $row) (v128.const i64x2 0 0))
        (i32.store (local.get $row) (local.get $at))
        (i32.store offset=4 (local.get $row) (local.get $eol))
        (i32.store offset=16 (local.get $row) (i32.const 0))
        ;; level
        (local.set $start (i32.add (local.get $at) (i32.const 56)))
        (local.set $p (call $plain (local.get $start) (local.get $eol)))
        (br_if $stop (i32.eqz (local.get $p)))
        (i32.store offset=104 (local.get $row) (local.get $start))
        (i32.store offset=108 (local.get $row) (local.get $p))
        ;; auditID
        (br_if $stop (i32.eqz (call $is (local.get $p) (i32.const 4))))
        (local.set $start (i32.add (local.get $p) (i32.const 13)))
        (local.set $p (call $plain (local.get $start) (local.get $eol)))
        (br_if $stop (i32.eqz (local.get $p)))
        (i32.store offset=48 (local.get $row) (local.get $start))
        (i32.store offset=52 (local.get $row) (local.get $p))
        ;; stage: one of four, with the quote behind it
        (br_if $stop (i32.eqz (call $is (local.get $p) (i32.const 5))))
        (local.set $start (i32.add (local.get $p) (i32.const 11)))
        (block $known
          (i32.store offset=20 (local.get $row) (i32.const 2))
          (local.set $p (i32.add (local.get $start) (i32.const 16)))
          (br_if $known (i32.and (call $is (local.get $start) (i32.const 8))
            (i32.eq (i32.load8_u (local.get $p)) (i32.const 0x22))))
          (i32.store offset=20 (local.get $row) (i32.const 1))
          (local.set $p (i32.add (local.get $start) (i32.const 15)))
          (br_if $known (call $is (local.get $start) (i32.const 7)))
          (i32.store offset=20 (local.get $row) (i32.const 0))
          (br_if $known (call $is (local.get $start) (i32.const 6)))
          (i32.store offset=20 (local.get $row) (i32.const 3))
          (local.set $p (i32.add (local.get $start) (i32.const 5)))
          (br_if $known (call $is (local.get $start) (i32.const 9)))
          (br $stop))
        (i32.store offset=56 (local.get $row) (local.get $start))
        (i32.store offset=60 (local.get $row) (local.get $p))
        ;; requestURI
        (br_if $stop (i32.eqz (call $is (local.get $p) (i32.const 10))))
        (local.set $start (i32.add (local.get $p) (i32.const 16)))
        (local.set $p (call $string (local.get $start) (local.get $eol)))
        (br_if $stop (i32.eqz (local.get $p)))
        (i32.store offset=112 (local.get $row) (local.get $start))
        (i32.store offset=116 (local.get $row) (local.get $p))
        ;; verb: one of those that are known, by its first eight bytes
        (br_if $stop (i32.eqz (call $is (local.get $p) (i32.const 11))))
        (local.set $start (i32.add (local.get $p) (i32.const 10)))
        (local.set $p (call $plain (local.get $start) (local.get $eol)))
        (br_if $stop (i32.eqz (local.get $p)))
        (i32.store offset=64 (local.get $row) (local.get $start))
        (i32.store offset=68 (local.get $row) (local.get $p))
        (local.set $bytes (i32.sub (local.get $p) (local.get $start)))
        (br_if $stop (i32.eqz (local.get $bytes)))
        (local.set $word (i64.load (local.get $start)))
        (if (i32.lt_u (local.get $bytes) (i32.const 8))
          (then
            (local.set $word (i64.and (local.get $word) (i64.sub (i64.shl (i64.const 1)
              (i64.extend_i32_u (i32.shl (local.get $bytes) (i32.const 3)))) (i64.const 1)))))
          (else
            ;; deletecollection is the only one that long.
            (br_if $stop (i32.ne (local.get $bytes) (i32.const 16)))
            (br_if $stop (i64.ne (i64.load offset=8 (local.get $start)) (i64.const 0x6e6f697463656c6c)))))
        (local.set $sum (i32.const 0))
        (block $known (loop $verb
          (br_if $known (i64.eq (local.get $word)
            (i64.load offset=2080 (i32.add (global.get $base) (i32.shl (local.get $sum) (i32.const 3))))))
          (local.set $sum (i32.add (local.get $sum) (i32.const 1)))
          (br_if $verb (i32.lt_u (local.get $sum) (i32.const 14)))
          (br $stop)))
        (br_if $stop (i32.ne (i32.eq (local.get $sum) (i32.const 7)) (i32.ge_u (local.get $bytes) (i32.const 8))))
        (i32.store offset=24 (local.get $row) (local.get $sum))
        ;; user
        (br_if $stop (i32.eqz (call $is (local.get $p) (i32.const 12))))
        (local.set $start (i32.add (local.get $p) (i32.const 9)))
        (i32.store offset=136 (local.get $row) (local.get $start))
        ;; What the client says of itself, a third of an event, is nearly always what it said in a line before.
        (local.set $number (i32.add (local.get $number) (i32.const 1)))
        (local.set $slot (call $slot (i32.add (local.get $start) (i32.const 13))))
        (local.set $known (i32.load (local.get $slot)))
        (block $done
          (if (local.get $known) (then
            (local.set $bytes (i32.sub (i32.load offset=4 (local.get $slot)) (local.get $known)))
            (if (call $same (local.get $start) (local.get $known) (local.get $bytes)) (then
              (local.set $p (i32.add (local.get $start) (local.get $bytes)))
              (i32.store offset=184 (local.get $row) (local.get $p))
              (local.set $sum (i32.load offset=8 (local.get $slot)))
              (i32.store offset=44 (local.get $row) (local.get $sum))
              ;; The row of that line, with the places moved.
              (local.set $sum (i32.sub (local.get $row)
                (i32.mul (i32.sub (local.get $number) (local.get $sum)) (i32.const 192))))
              (local.set $known (i32.sub (local.get $start) (local.get $known)))
              (i32.store offset=140 (local.get $row)
                (i32.add (local.get $known) (i32.load offset=140 (local.get $sum))))
              (if (i32.load offset=76 (local.get $sum)) (then
                (i32.store offset=72 (local.get $row)
                  (i32.add (local.get $known) (i32.load offset=72 (local.get $sum))))
                (i32.store offset=76 (local.get $row)
                  (i32.add (local.get $known) (i32.load offset=76 (local.get $sum))))))
              (br $done)))))
          (local.set $p (call $members (local.get $start) (local.get $eol) (local.get $row) (i32.const 0)))
          (br_if $stop (i32.eqz (local.get $p)))
          (i32.store offset=140 (local.get $row) (local.get $p))
          ;; From here on there may be a member or not.
          (br_if $done (i32.eqz (call $is (local.get $p) (i32.const 13))))
          (local.set $p (call $close (i32.add (local.get $p) (i32.const 13)) (local.get $eol)))
          (br_if $stop (i32.eqz (local.get $p)))
          (br_if $done (i32.eqz (call $is (local.get $p) (i32.const 14))))
          (local.set $p (call $string (i32.add (local.get $p) (i32.const 14)) (local.get $eol)))
          (br_if $stop (i32.eqz (local.get $p)))
          (local.set $p (i32.add (local.get $p) (i32.const 1)))
          ;; Where all three stand it ends here.
          (i32.store offset=184 (local.get $row) (local.get $p))
          (call $remember (local.get $slot) (local.get $start) (local.get $p) (local.get $number)))
        (if (call $is (local.get $p) (i32.const 15)) (then
          (local.set $p (call $members (i32.add (local.get $p) (i32.const 13)) (local.get $eol) (local.get $row)
            (i32.const 1)))
          (br_if $stop (i32.eqz (local.get $p)))))
        (if (i32.and (call $is (local.get $p) (i32.const 16))
                     (call $is (i32.add (local.get $p) (i32.const 3)) (i32.const 17)))
          (then
            (local.set $start (i32.add (local.get $p) (i32.const 18)))
            (local.set $p (call $members (local.get $start) (local.get $eol) (local.get $row) (i32.const 2)))
            (br_if $stop (i32.eqz (local.get $p)))
            (i32.store offset=168 (local.get $row) (local.get $start))
            (i32.store offset=172 (local.get $row) (local.get $p))))
        (if (i32.and (call $is (local.get $p) (i32.const 18))
                     (i32.eq (i32.load8_u offset=16 (local.get $p)) (i32.const 0x3a)))
          (then
            (local.set $start (i32.add (local.get $p) (i32.const 17)))
            (br_if $stop (i32.ne (i32.or (i32.load8_u (local.get $start)) (i32.const 0x20)) (i32.const 0x7b)))
            (local.set $p (call $close (local.get $start) (local.get $eol)))
            (br_if $stop (i32.eqz (local.get $p)))
            (i32.store offset=144 (local.get $row) (local.get $start))
            (i32.store offset=148 (local.get $row) (local.get $p))))
        (if (i32.and (call $is (local.get $p) (i32.const 19))
                     (i32.eq (i32.load16_u offset=16 (local.get $p)) (i32.const 0x3a22)))
          (then
            (local.set $start (i32.add (local.get $p) (i32.const 18)))
            (br_if $stop (i32.ne (i32.or (i32.load8_u (local.get $start)) (i32.const 0x20)) (i32.const 0x7b)))
            (local.set $p (call $close (local.get $start) (local.get $eol)))
            (br_if $stop (i32.eqz (local.get $p)))
            (i32.store offset=152 (local.get $row) (local.get $start))
            (i32.store offset=156 (local.get $row) (local.get $p))))
        (if (i32.and (call $is (local.get $p) (i32.const 20))
                     (call $is (i32.add (local.get $p) (i32.const 16)) (i32.const 21)))
          (then
            (local.set $p (call $string (i32.add (local.get $p) (i32.const 29)) (local.get $eol)))
            (br_if $stop (i32.eqz (local.get $p)))
            (local.set $p (i32.add (local.get $p) (i32.const 1)))))
        ;; stageTimestamp
        (br_if $stop (i32.eqz (call $is (local.get $p) (i32.const 22))))
        (br_if $stop (i32.eqz (call $is (i32.add (local.get $p) (i32.const 3)) (i32.const 23))))
        (local.set $start (i32.add (local.get $p) (i32.const 19)))
        (if (i32.eqz (call $time (local.get $start) (local.get $row))) (then
          (i32.store offset=2064 (global.get $base) (local.get $start))
          (br $stop)))
        (br_if $stop (i32.ne (i32.load8_u offset=27 (local.get $start)) (i32.const 0x22)))
        (local.set $p (i32.add (local.get $start) (i32.const 28)))
        (if (call $is (local.get $p) (i32.const 24)) (then
          (local.set $start (i32.add (local.get $p) (i32.const 15)))
          (i32.store offset=160 (local.get $row) (local.get $start))
          ;; They differ in their ends, which is the line's.
          (local.set $slot (call $slot (i32.sub (local.get $eol) (i32.const 40))))
          (local.set $known (i32.load (local.get $slot)))
          (local.set $bytes (i32.sub (i32.sub (local.get $eol) (i32.const 1)) (local.get $start)))
          (block $done
            (if (i32.and (i32.ne (local.get $known) (i32.const 0))
                  (i32.eq (i32.sub (i32.load offset=4 (local.get $slot)) (local.get $known)) (local.get $bytes)))
              (then (if (call $same (local.get $start) (local.get $known) (local.get $bytes)) (then
                (i32.store offset=188 (local.get $row) (i32.load offset=8 (local.get $slot)))
                (local.set $p (i32.add (local.get $start) (local.get $bytes)))
                (br $done)))))
            (local.set $p (call $close (local.get $start) (local.get $eol)))
            (br_if $stop (i32.eqz (local.get $p)))
            (call $remember (local.get $slot) (local.get $start) (local.get $p) (local.get $number)))
          (i32.store offset=164 (local.get $row) (local.get $p))))
        (br_if $stop (i32.ne (i32.load8_u (local.get $p)) (i32.const 0x7d)))
        (br_if $stop (i32.ne (i32.add (local.get $p) (i32.const 1)) (local.get $eol)))
        ;; Bytes of its metadata; a value with an escape, or a very long one, is not made here.
        (local.set $sum (call $pairBytes (i32.const 7) (i32.load offset=48 (local.get $row)) (i32.load offset=52 (local.get $row))))
        (br_if $stop (i32.lt_s (local.get $sum) (i32.const 0)))
        (local.set $start (i32.const 0))
        (loop $fact
          ;; user, resource, namespace, name: names of 4, 8, 9 and 4 bytes
          (local.set $p (i32.add (local.get $row) (i32.shl (local.get $start) (i32.const 3))))
          (local.set $bytes (call $pairBytes
            (i32.and (i32.shr_u (i32.const 0x4984) (i32.shl (local.get $start) (i32.const 2))) (i32.const 15))
            (i32.load offset=72 (local.get $p)) (i32.load offset=76 (local.get $p))))
          (br_if $stop (i32.lt_s (local.get $bytes) (i32.const 0)))
          (if (local.get $bytes) (then
            (br_if $stop (i32.ne (i32.load offset=76 (local.get $p))
              (call $plain (i32.load offset=72 (local.get $p)) (local.get $eol))))))
          (local.set $sum (i32.add (local.get $sum) (local.get $bytes)))
          (local.set $start (i32.add (local.get $start) (i32.const 1)))
          (br_if $fact (i32.lt_u (local.get $start) (i32.const 4))))
        (local.set $sum (i32.add (local.get $sum) (call $pairBytes (i32.const 4)
          (i32.load offset=176 (local.get $row)) (i32.load offset=180 (local.get $row)))))
        (i32.store offset=40 (local.get $row) (local.get $sum))
        (local.set $sum (i32.add (i32.add (local.get $sum) (i32.const 17))
          (i32.sub (local.get $eol) (local.get $at))))
        (br_if $stop (i32.ge_u (local.get $sum) (i32.const 0x4000)))
        (i32.store offset=36 (local.get $row) (i32.add (local.get $sum) (i32.const 3)))
        (call $hash (local.get $row))
        (local.set $row (i32.add (local.get $row) (i32.const 192)))
        (local.set $at (i32.add (local.get $eol) (i32.const 1)))
        (br $line)))
    (i32.store offset=2068 (global.get $base) (local.get $row))
    (local.get $at))

  ;; Whether another event had the id and stage of the row's before it, as audit/ids.ts tells; the event, which begins at
  ;; `offset` of its file, is noted.
  (func $reused (param $row i32) (param $offset f64) (result i32)
    (local $slot i32) (local $bytes f64) (local $time f64) (local $first i32) (local $before i32) (local $reused i32)
    (local.set $first (i32.load offset=28 (local.get $row)))
    (local.set $slot (i32.add (i32.add (global.get $base) (i32.const 278528)) (i32.shl (i32.shr_u
      (i32.mul (i32.xor (local.get $first) (i32.shr_u (local.get $first) (i32.const 15))) (i32.const 0x2c1b3c6d))
      (i32.const 20)) (i32.const 6))))
    (local.set $bytes (f64.convert_i32_s (i32.sub
      (i32.add (i32.load offset=4 (local.get $row)) (i32.const 1)) (i32.load (local.get $row)))))
    (local.set $time (f64.add
      (f64.mul (f64.convert_i32_s (i32.load offset=8 (local.get $row))) (f64.const 1e6))
      (f64.div (f64.convert_i32_s (i32.load offset=12 (local.get $row))) (f64.const 1000))))
    (if (i32.and (i32.and
          (f64.eq (f64.load (local.get $slot)) (f64.convert_i32_s (local.get $first)))
          (f64.eq (f64.load offset=8 (local.get $slot)) (f64.convert_i32_s (i32.load offset=32 (local.get $row)))))
          (f64.gt (f64.load offset=24 (local.get $slot)) (f64.const 0)))
      (then
        ;; Of the last one and the one before it the first that lies before this one.
        (local.set $before (i32.add (local.get $slot) (i32.const 16)))
        (if (f64.ge (f64.load (local.get $before)) (local.get $offset)) (then
          (local.set $before (i32.add (local.get $slot) (i32.const 40)))))
        (local.set $reused (i32.and (i32.and
          (f64.gt (f64.load offset=8 (local.get $before)) (f64.const 0))
          (f64.lt (f64.load (local.get $before)) (local.get $offset)))
          (i32.and
            (f64.le (f64.sub (local.get $offset) (f64.load (local.get $before))) (f64.const 4194304))
            (i32.or (f64.ne (f64.load offset=8 (local.get $before)) (local.get $bytes))
                    (f64.ne (f64.load offset=16 (local.get $before)) (local.get $time))))))
        (if (f64.ge (f64.load offset=16 (local.get $slot)) (local.get $offset)) (then
          (return (local.get $reused))))
        (v128.store offset=40 (local.get $slot) (v128.load offset=16 (local.get $slot)))
        (f64.store offset=56 (local.get $slot) (f64.load offset=32 (local.get $slot))))
      (else
        (f64.store (local.get $slot) (f64.convert_i32_s (local.get $first)))
        (f64.store offset=8 (local.get $slot) (f64.convert_i32_s (i32.load offset=32 (local.get $row))))
        (v128.store offset=40 (local.get $slot) (v128.const i64x2 0 0))
        (f64.store offset=56 (local.get $slot) (f64.const 0))))
    (f64.store offset=16 (local.get $slot) (local.get $offset))
    (f64.store offset=24 (local.get $slot) (local.get $bytes))
    (f64.store offset=32 (local.get $slot) (local.get $time))
    (local.get $reused))

  ;; Decides about the events of [row, rowsEnd) where nothing is changed or left out, one after the other: whether each fits, its
  ;; time, its id, what it tells of the log's course; and sums up what becomes of them, by stage and verb. Returns the row
  ;; that it stopped before: one that is not to be taken, or the next one, behind one that is to be told of before it.
  (func (export "decide") (param $row i32) (param $rowsEnd i32) (result i32)
    (local $line i32) (local $bytes i32) (local $seconds i32) (local $newest i32) (local $told i32)
    (local $stage i32) (local $open i32) (local $word i32) (local $sum i32)
    (local.set $told (i32.add (global.get $base) (i32.const 208896)))
    (i32.store offset=3364 (global.get $base) (i32.const 0))
    (block $stop
      (loop $next
        (br_if $stop (i32.ge_u (local.get $row) (local.get $rowsEnd)))
        (local.set $line (i32.load (local.get $row)))
        (local.set $bytes (i32.sub (i32.load offset=4 (local.get $row)) (local.get $line)))
        (br_if $stop (i32.gt_s (local.get $bytes) (i32.load offset=3340 (global.get $base))))
        (br_if $stop (i32.gt_s (i32.add (local.get $bytes) (i32.load offset=3368 (global.get $base)))
          (i32.load offset=3336 (global.get $base))))
        (local.set $seconds (i32.load offset=8 (local.get $row)))
        (br_if $stop (i32.lt_s (local.get $seconds) (i32.load offset=3344 (global.get $base))))
        (br_if $stop (i32.gt_s (local.get $seconds) (i32.load offset=3348 (global.get $base))))
        (br_if $stop (call $reused (local.get $row)
          (f64.add (f64.load offset=3328 (global.get $base)) (f64.convert_i32_u (local.get $line)))))
        (i32.store offset=3368 (global.get $base)
          (i32.add (i32.load offset=3368 (global.get $base)) (i32.load offset=36 (local.get $row))))
        (local.set $stage (i32.load offset=20 (local.get $row)))
        (block $silent
          (br_if $silent (i32.eqz (i32.load offset=3356 (global.get $base))))
          ;; The slot of its id and its tag there, as in audit/continuity/requests.ts.
          (local.set $open (i32.load offset=52 (local.get $row)))
          (local.set $word (i32.load (i32.sub (local.get $open) (i32.const 4))))
          (local.set $word (i32.or
            (i32.and (i32.rotl (local.get $word) (i32.const 8)) (i32.const 0x00ff00ff))
            (i32.and (i32.rotr (local.get $word) (i32.const 8)) (i32.const 0xff00ff00))))
          (local.set $word (i32.xor (local.get $word) (i32.shl
            (i32.load8_u (i32.sub (local.get $open) (i32.const 5))) (i32.const 11))))
          (local.set $word (i32.mul (local.get $word) (i32.const 0x9e3779b1)))
          (local.set $open (i32.add (i32.add (global.get $base) (i32.const 212992))
            (i32.shr_u (local.get $word) (i32.const 16))))
          (local.set $word (i32.add (i32.const 1)
            (i32.and (i32.shr_u (local.get $word) (i32.const 8)) (i32.const 0x7f))))
          (local.set $newest (i32.load offset=3352 (global.get $base)))
          (block $tell
            (br_if $tell (i32.eq (i32.load offset=3356 (global.get $base)) (i32.const 2)))
            (br_if $tell (i32.gt_s (local.get $seconds) (local.get $newest)))
            (br_if $tell (i32.ge_s (i32.sub (local.get $newest) (local.get $seconds))
              (i32.load offset=3372 (global.get $base))))
            (br_if $silent (i32.eqz (local.get $stage)))
            (br_if $tell (i32.ne (local.get $stage) (i32.const 2)))
            (br_if $tell (i32.eq (i32.load offset=24 (local.get $row)) (i32.const 2)))
            (br_if $tell (i32.eq (i32.load offset=16 (local.get $row)) (i32.const 101)))
            (br_if $tell (i32.eq (i32.load8_u (local.get $open)) (local.get $word)))
            (br_if $silent (i32.ne (i32.load8_u (local.get $open)) (i32.const 255))))
          (i32.store (local.get $told) (local.get $row))
          (local.set $told (i32.add (local.get $told) (i32.const 4)))
          ;; It may have begun something that another one ends.
          (if (i32.eq (local.get $stage) (i32.const 1)) (then
            (i32.store8 (local.get $open) (i32.const 255))))
          ;; What is known of the course may be otherwise when it was told: at the first one, and far behind.
          (i32.store offset=3364 (global.get $base) (i32.or
            (i32.eq (i32.load offset=3356 (global.get $base)) (i32.const 2))
            (i32.ge_s (i32.sub (local.get $newest) (local.get $seconds)) (i32.load offset=3372 (global.get $base)))))
          (if (i32.gt_s (local.get $seconds) (local.get $newest)) (then
            (i32.store offset=3352 (global.get $base) (local.get $seconds)))))
        ;; By stage and verb: how many, their bytes, the span of their times, the last one.
        (local.set $sum (i32.add (i32.add (global.get $base) (i32.const 204800)) (i32.shl (i32.add
          (i32.mul (local.get $stage) (i32.const 15)) (i32.load offset=24 (local.get $row))) (i32.const 5))))
        (if (i32.eqz (i32.load (local.get $sum))) (then
          (i32.store offset=8 (local.get $sum) (local.get $seconds))
          (i32.store offset=12 (local.get $sum) (local.get $seconds))))
        (i32.store (local.get $sum) (i32.add (i32.load (local.get $sum)) (i32.const 1)))
        (i32.store offset=4 (local.get $sum)
          (i32.add (i32.load offset=4 (local.get $sum)) (i32.load offset=36 (local.get $row))))
        (if (i32.lt_s (local.get $seconds) (i32.load offset=8 (local.get $sum))) (then
          (i32.store offset=8 (local.get $sum) (local.get $seconds))))
        (if (i32.gt_s (local.get $seconds) (i32.load offset=12 (local.get $sum))) (then
          (i32.store offset=12 (local.get $sum) (local.get $seconds))))
        (i32.store offset=16 (local.get $sum) (local.get $line))
        (local.set $row (i32.add (local.get $row) (i32.const 192)))
        (br_if $stop (i32.load offset=3364 (global.get $base)))
        (br $next)))
    (i32.store offset=3360 (global.get $base) (local.get $told))
    (local.get $row))

  ;; Puts the rows of [row, rowsEnd) in the order of their stages and verbs, and writes their notes from `notes` on. Lists the sums that
  ;; have any, by their index, and returns where the list ends.
  (func (export "sort") (param $row i32) (param $rowsEnd i32) (param $notes i32) (result i32)
    (local $sum i32) (local $next i32) (local $to i32) (local $used i32) (local $index i32)
    (local.set $sum (i32.add (global.get $base) (i32.const 204800)))
    (local.set $used (i32.add (global.get $base) (i32.const 208896)))
    (loop $place
      (if (i32.load (local.get $sum)) (then
        (i32.store (local.get $used) (local.get $index))
        (local.set $used (i32.add (local.get $used) (i32.const 4)))))
      (local.set $index (i32.add (local.get $index) (i32.const 1)))
      (i32.store offset=20 (local.get $sum) (local.get $next))
      (local.set $next (i32.add (local.get $next) (i32.load (local.get $sum))))
      (local.set $sum (i32.add (local.get $sum) (i32.const 32)))
      (br_if $place (i32.lt_u (local.get $sum) (i32.add (global.get $base) (i32.const 207200)))))
    (block $stop
      (loop $next
        (br_if $stop (i32.ge_u (local.get $row) (local.get $rowsEnd)))
        (local.set $sum (i32.add (i32.add (global.get $base) (i32.const 204800)) (i32.shl (i32.add
          (i32.mul (i32.load offset=20 (local.get $row)) (i32.const 15))
          (i32.load offset=24 (local.get $row))) (i32.const 5))))
        (local.set $to (i32.load offset=20 (local.get $sum)))
        (i32.store offset=20 (local.get $sum) (i32.add (local.get $to) (i32.const 1)))
        (i32.store (i32.add (i32.add (global.get $base) (i32.const 200704)) (i32.shl (local.get $to) (i32.const 2)))
          (local.get $row))
        (local.set $to (i32.add (local.get $notes) (i32.shl (local.get $to) (i32.const 4))))
        (f64.store (local.get $to) (f64.add (f64.load offset=3328 (global.get $base))
          (f64.convert_i32_u (i32.load (local.get $row)))))
        ;; One line and its bytes.
        (f64.store offset=8 (local.get $to) (f64.add (f64.const 4294967297) (f64.convert_i32_u
          (i32.sub (i32.load offset=4 (local.get $row)) (i32.load (local.get $row))))))
        (local.set $row (i32.add (local.get $row) (i32.const 192)))
        (br $next)))
    (local.get $used))

  (func (export "copy") (param $to i32) (param $from i32) (param $bytes i32)
    (memory.copy (local.get $to) (local.get $from) (local.get $bytes)))

  ;; Writes a pair: all before the value is constant `k`, of `head` bytes. Returns where it ends; up to 15 bytes more are
  ;; touched.
  (func $pair (param $to i32) (param $k i32) (param $head i32) (param $at i32) (param $end i32) (result i32)
    (local $bytes i32) (local $inner i32)
    (local.set $bytes (i32.sub (local.get $end) (local.get $at)))
    (if (i32.eqz (local.get $bytes)) (then (return (local.get $to))))
    (local.set $inner (i32.add (i32.add (local.get $head) (i32.const 1))
      (i32.add (local.get $bytes) (i32.ge_u (local.get $bytes) (i32.const 128)))))
    (i32.store8 (local.get $to) (i32.const 0x1a))
    (local.set $to (call $varint (i32.add (local.get $to) (i32.const 1)) (local.get $inner)))
    (v128.store (local.get $to)
      (v128.load (i32.add (global.get $base) (i32.shl (local.get $k) (i32.const 5)))))
    (local.set $to (call $varint (i32.add (local.get $to) (local.get $head)) (local.get $bytes)))
    (local.set $inner (i32.add (local.get $to) (local.get $bytes)))
    (loop $copy
      (v128.store (local.get $to) (v128.load (local.get $at)))
      (local.set $to (i32.add (local.get $to) (i32.const 16)))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (br_if $copy (i32.lt_u (local.get $at) (local.get $end))))
    (local.get $inner))

  ;; A varint of one byte or two.
  (func $varint (param $to i32) (param $value i32) (result i32)
    (if (i32.lt_u (local.get $value) (i32.const 128)) (then
      (i32.store8 (local.get $to) (local.get $value))
      (return (i32.add (local.get $to) (i32.const 1)))))
    (i32.store16 (local.get $to) (i32.or (i32.or (i32.const 0x80) (i32.and (local.get $value) (i32.const 0x7f)))
      (i32.shl (i32.shr_u (local.get $value) (i32.const 7)) (i32.const 8))))
    (i32.add (local.get $to) (i32.const 2)))

  ;; Writes an entry for each row whose address is in [order, orderEnd); returns where the last one ends.
  (func (export "write") (param $order i32) (param $orderEnd i32) (param $to i32) (result i32)
    (local $row i32) (local $length i32) (local $bytes i32) (local $seconds i32) (local $nanos i32)
    (block $stop
      (loop $next
        (br_if $stop (i32.ge_u (local.get $order) (local.get $orderEnd)))
        (local.set $row (i32.load (local.get $order)))
        (local.set $bytes (i32.sub (i32.load offset=4 (local.get $row)) (i32.load (local.get $row))))
        (local.set $length (i32.sub (i32.load offset=36 (local.get $row)) (i32.const 3)))
        (i32.store (local.get $to) (i32.or (i32.const 0x8012) (i32.or
          (i32.shl (i32.and (local.get $length) (i32.const 0x7f)) (i32.const 8))
          (i32.shl (i32.shr_u (local.get $length) (i32.const 7)) (i32.const 16)))))
        (local.set $to (i32.add (local.get $to) (i32.const 3)))
        (local.set $to (call $pair (local.get $to) (i32.const 25) (i32.const 10)
          (i32.load offset=48 (local.get $row)) (i32.load offset=52 (local.get $row))))
        (local.set $to (call $pair (local.get $to) (i32.const 26) (i32.const 7)
          (i32.load offset=72 (local.get $row)) (i32.load offset=76 (local.get $row))))
        (local.set $to (call $pair (local.get $to) (i32.const 27) (i32.const 11)
          (i32.load offset=80 (local.get $row)) (i32.load offset=84 (local.get $row))))
        (local.set $to (call $pair (local.get $to) (i32.const 28) (i32.const 12)
          (i32.load offset=88 (local.get $row)) (i32.load offset=92 (local.get $row))))
        (local.set $to (call $pair (local.get $to) (i32.const 29) (i32.const 7)
          (i32.load offset=96 (local.get $row)) (i32.load offset=100 (local.get $row))))
        (local.set $to (call $pair (local.get $to) (i32.const 30) (i32.const 7)
          (i32.load offset=176 (local.get $row)) (i32.load offset=180 (local.get $row))))
        (local.set $seconds (i32.load offset=8 (local.get $row)))
        (local.set $nanos (i32.load offset=12 (local.get $row)))
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
        (local.set $to (i32.add (local.get $to) (i32.const 17)))
        (memory.copy (local.get $to) (i32.load (local.get $row)) (local.get $bytes))
        (local.set $to (i32.add (local.get $to) (local.get $bytes)))
        (local.set $order (i32.add (local.get $order) (i32.const 4)))
        (br $next)))
    (local.get $to))
)
