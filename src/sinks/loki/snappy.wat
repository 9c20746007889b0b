;; Snappy's block format (google/snappy, format_description.txt): the elements of a block, without the length in front. The
;; window goes back 64 KiB; a table knows for a hash of eight bytes where they stood last, by the lower half of that address:
;; whatever it says is compared, so nothing has to be cleared but for the sake of equal output for equal input. snappy.ts says why.
(module
  (import "rows" "memory" (memory 1 1024))
  ;; Where its table lies: 16,384 addresses of 16 bits.
  (import "place" "table" (global $table i32))

  (func (export "clear")
    (memory.fill (global.get $table) (i32.const 0) (i32.const 32768)))

  ;; The place in the table of eight bytes.
  (func $slot (param $word i64) (result i32)
    (i32.add (global.get $table) (i32.shl
      (i32.wrap_i64 (i64.shr_u (i64.mul (local.get $word) (i64.const 0x9e3779b185ebca87)) (i64.const 50)))
      (i32.const 1))))

  ;; Writes a literal of any length below 2^24; up to 15 bytes more are touched. Returns where it ends. Most that come here are
  ;; ids: for these memory.copy, which is a call, takes as long as all the rest.
  (func $literal (param $to i32) (param $at i32) (param $bytes i32) (result i32)
    (local $less i32)
    (if (i32.eqz (local.get $bytes)) (then (return (local.get $to))))
    (local.set $less (i32.sub (local.get $bytes) (i32.const 1)))
    (if (i32.lt_u (local.get $less) (i32.const 60))
      (then
        (i32.store8 (local.get $to) (i32.shl (local.get $less) (i32.const 2)))
        (local.set $to (i32.add (local.get $to) (i32.const 1))))
      (else (if (i32.lt_u (local.get $less) (i32.const 256))
        (then
          (i32.store16 (local.get $to) (i32.or (i32.const 0xf0) (i32.shl (local.get $less) (i32.const 8))))
          (local.set $to (i32.add (local.get $to) (i32.const 2))))
        (else (if (i32.lt_u (local.get $less) (i32.const 65536))
          (then
            (i32.store (local.get $to) (i32.or (i32.const 0xf4) (i32.shl (local.get $less) (i32.const 8))))
            (local.set $to (i32.add (local.get $to) (i32.const 3))))
          (else
            (i32.store (local.get $to) (i32.or (i32.const 0xf8) (i32.shl (local.get $less) (i32.const 8))))
            (local.set $to (i32.add (local.get $to) (i32.const 4)))))))))
    (local.set $bytes (i32.add (local.get $to) (local.get $bytes)))
    (loop $copy
      (v128.store (local.get $to) (v128.load (local.get $at)))
      (local.set $to (i32.add (local.get $to) (i32.const 16)))
      (local.set $at (i32.add (local.get $at) (i32.const 16)))
      (br_if $copy (i32.lt_u (local.get $to) (local.get $bytes))))
    (local.get $bytes))

  ;; Compresses [from, end); what lies in [start, from) was compressed before it. Returns where the elements end that it writes
  ;; from `to` on: never more than 8 bytes and one for every 60 behind as many as it reads, and up to 15 more are touched. Reads up to 31
  ;; bytes behind `end`.
  (func (export "compress") (param $start i32) (param $from i32) (param $end i32) (param $to i32) (result i32)
    ;; `next`: what lies before it is written; `other`: where what stands at `at` stood before, `offset` bytes before it.
    (local $at i32) (local $next i32) (local $limit i32) (local $step i32) (local $slot i32) (local $offset i32)
    (local $other i32) (local $word i64) (local $bytes i32)
    (local.set $next (local.get $from))
    (local.set $at (local.get $from))
    (local.set $limit (i32.sub (local.get $end) (i32.const 16)))
    (block $over
      (br_if $over (i32.le_s (i32.sub (local.get $end) (local.get $from)) (i32.const 16)))
      (loop $search
        ;; In eighths of a byte: the longer nothing is found, the fewer places are looked at. That it may have begun before,
        ;; and places within a copy, are left out: 2 % smaller, and 4 % slower.
        (local.set $step (i32.const 8))
        (block $found
          (loop $probe
            (local.set $word (i64.load (local.get $at)))
            (local.set $slot (call $slot (local.get $word)))
            (local.set $offset (i32.and (i32.const 0xffff)
              (i32.sub (local.get $at) (i32.load16_u (local.get $slot)))))
            (i32.store16 (local.get $slot) (local.get $at))
            (local.set $other (i32.sub (local.get $at) (local.get $offset)))
            (if (i64.eq (i64.load (local.get $other)) (local.get $word)) (then
              (br_if $found (i32.and (i32.ne (local.get $offset) (i32.const 0))
                (i32.ge_u (local.get $other) (local.get $start))))))
            (local.set $at (i32.add (local.get $at) (i32.shr_u (local.get $step) (i32.const 3))))
            (local.set $step (i32.add (local.get $step) (i32.const 1)))
            (br_if $probe (i32.lt_u (local.get $at) (local.get $limit))))
          (br $over))
        (local.set $bytes (i32.sub (local.get $at) (local.get $next)))
        (if (i32.le_u (local.get $bytes) (i32.const 16))
          (then
            ;; None of its branches for the usual one: where there is none the tag is written over.
            (i32.store8 (local.get $to) (i32.shl (i32.sub (local.get $bytes) (i32.const 1)) (i32.const 2)))
            (local.set $to (i32.add (local.get $to) (i32.ne (local.get $bytes) (i32.const 0))))
            (v128.store (local.get $to) (v128.load (local.get $next)))
            (local.set $to (i32.add (local.get $to) (local.get $bytes))))
          (else (local.set $to (call $literal (local.get $to) (local.get $next) (local.get $bytes)))))
        ;; Eight bytes are known to be the same. Of the copies of audit events two thirds end within the next 32: compared 16 at a time
        ;; it cannot be foreseen how often.
        (local.set $next (i32.add (local.get $at) (i32.const 8)))
        (local.set $other (i32.add (local.get $other) (i32.const 8)))
        (block $differs
          (loop $same
            (local.set $bytes (i32.xor (i32.const -1) (i32.or
              (i8x16.bitmask (i8x16.eq (v128.load (local.get $next)) (v128.load (local.get $other))))
              (i32.shl (i8x16.bitmask (i8x16.eq
                (v128.load offset=16 (local.get $next)) (v128.load offset=16 (local.get $other)))) (i32.const 16)))))
            (if (local.get $bytes) (then
              (local.set $next (i32.add (local.get $next) (i32.ctz (local.get $bytes))))
              (br $differs)))
            (local.set $next (i32.add (local.get $next) (i32.const 32)))
            (local.set $other (i32.add (local.get $other) (i32.const 32)))
            (br_if $same (i32.lt_u (local.get $next) (local.get $end)))))
        (if (i32.gt_u (local.get $next) (local.get $end)) (then (local.set $next (local.get $end))))
        ;; Copies of up to 64 bytes, the last one of 4 or more.
        (local.set $bytes (i32.sub (local.get $next) (local.get $at)))
        (block $last (loop $long
          (br_if $last (i32.lt_u (local.get $bytes) (i32.const 68)))
          (i32.store (local.get $to) (i32.or (i32.const 0xfe) (i32.shl (local.get $offset) (i32.const 8))))
          (local.set $to (i32.add (local.get $to) (i32.const 3)))
          (local.set $bytes (i32.sub (local.get $bytes) (i32.const 64)))
          (br $long)))
        (if (i32.gt_u (local.get $bytes) (i32.const 64)) (then
          (i32.store (local.get $to) (i32.or (i32.const 0xee) (i32.shl (local.get $offset) (i32.const 8))))
          (local.set $to (i32.add (local.get $to) (i32.const 3)))
          (local.set $bytes (i32.sub (local.get $bytes) (i32.const 60)))))
        ;; In two bytes where it is short and near, else in three.
        (local.set $slot (i32.and (i32.lt_u (local.get $bytes) (i32.const 12))
          (i32.lt_u (local.get $offset) (i32.const 2048))))
        (i32.store (local.get $to) (select
          (i32.or
            (i32.or (i32.const 1) (i32.shl (i32.sub (local.get $bytes) (i32.const 4)) (i32.const 2)))
            (i32.or (i32.shl (i32.shr_u (local.get $offset) (i32.const 8)) (i32.const 5))
                    (i32.shl (i32.and (local.get $offset) (i32.const 0xff)) (i32.const 8))))
          (i32.or
            (i32.or (i32.const 2) (i32.shl (i32.sub (local.get $bytes) (i32.const 1)) (i32.const 2)))
            (i32.shl (local.get $offset) (i32.const 8)))
          (local.get $slot)))
        (local.set $to (i32.add (local.get $to) (i32.sub (i32.const 3) (local.get $slot))))
        (local.set $at (local.get $next))
        (br_if $over (i32.ge_u (local.get $at) (local.get $limit)))
        (br $search)))
    (call $literal (local.get $to) (local.get $next) (i32.sub (local.get $end) (local.get $next))))
)
