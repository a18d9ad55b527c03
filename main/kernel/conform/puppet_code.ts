/**
 * The machine code of puppets: x86-64, assembled by hand, one instruction a line, and the executable that it makes.
 *
 * A puppet is a thread that does what it is told in its slot of shared memory (slot.ts): one system call or one touch of memory at a
 * time, and nothing else. There is no C library and no JavaScript in its process, so whatever it maps, unmaps or hits harms nobody, a
 * fork goes on in the child, and where the kernel puts memory depends on the case alone. A signal ends what it did and is told.
 *
 * rbx is the thread's slot, r13 the header, r12d its last turn. Pairs with slot.ts (offsets) and puppets.ts (the other side).
 * Source: Intel SDM volume 2 (encodings); man 2 syscall, clone, futex, sigreturn; x86-64 ABI: offsets of rbx (0x80) and rip (0xa8) in
 * ucontext; the ELF-64 object file format.
 */

/** Bytes | what they say ; why. */
const CODE = `
_start:  ; The process: it dies with its parent (prctl PR_SET_PDEATHSIG) and has no huge pages (PR_SET_THP_DISABLE);
  ; it maps descriptor 3 at CONTROL, closes it, and handles SIGSEGV and SIGBUS.
  bf 01 00 00 00                | mov edi, 0x1  ; PR_SET_PDEATHSIG
  be 09 00 00 00                | mov esi, 0x9  ; SIGKILL
  b8 9d 00 00 00                | mov eax, 0x9d  ; prctl
  0f 05                         | syscall
  bf 29 00 00 00                | mov edi, 0x29  ; PR_SET_THP_DISABLE
  be 01 00 00 00                | mov esi, 0x1
  31 d2                         | xor edx, edx
  45 31 d2                      | xor r10d, r10d
  45 31 c0                      | xor r8d, r8d
  b8 9d 00 00 00                | mov eax, 0x9d  ; prctl
  0f 05                         | syscall
  48 bf 00 00 00 00 10 00 00 00 | movabs rdi, 0x1000000000
  be 00 00 30 00                | mov esi, 0x300000  ; CONTROL_BYTES
  ba 03 00 00 00                | mov edx, 0x3  ; PROT_READ | PROT_WRITE
  41 ba 11 00 00 00             | mov r10d, 0x11  ; MAP_SHARED | MAP_FIXED
  41 b8 03 00 00 00             | mov r8d, 0x3
  45 31 c9                      | xor r9d, r9d
  b8 09 00 00 00                | mov eax, 0x9  ; mmap
  0f 05                         | syscall
  bf 03 00 00 00                | mov edi, 0x3
  b8 03 00 00 00                | mov eax, 0x3  ; close
  0f 05                         | syscall
  bf 0b 00 00 00                | mov edi, 0xb  ; SIGSEGV
  48 8d 35 ac 01 00 00          | lea rsi, [rip+0x1ac]
  31 d2                         | xor edx, edx
  41 ba 08 00 00 00             | mov r10d, 0x8
  b8 0d 00 00 00                | mov eax, 0xd  ; rt_sigaction
  0f 05                         | syscall
  bf 07 00 00 00                | mov edi, 0x7  ; SIGBUS
  48 8d 35 91 01 00 00          | lea rsi, [rip+0x191]
  31 d2                         | xor edx, edx
  41 ba 08 00 00 00             | mov r10d, 0x8
  b8 0d 00 00 00                | mov eax, 0xd  ; rt_sigaction
  0f 05                         | syscall
  49 bd 00 00 00 00 10 00 00 00 | movabs r13, 0x1000000000
  4d 8d b5 00 00 01 00          | lea r14, [r13+0x10000]
  49 8d a6 00 00 01 00          | lea rsp, [r14+0x10000]
born:  ; A thread begins: r14 is its slot, no turn was had, its tid is told.
  4c 89 f3                      | mov rbx, r14
  45 31 e4                      | xor r12d, r12d
  b8 ba 00 00 00                | mov eax, 0xba  ; gettid
  0f 05                         | syscall
  89 43 0c                      | mov [rbx+0xc], eax
  e9 ff 00 00 00                | jmp tell
wait:  ; Sleeps until its turn changes: futex(&slot.turn, FUTEX_WAIT, the last turn).
  8b 03                         | mov eax, [rbx]
  44 39 e0                      | cmp eax, r12d
  75 14                         | jne begin
  48 89 df                      | mov rdi, rbx
  31 f6                         | xor esi, esi
  44 89 e2                      | mov edx, r12d
  45 31 d2                      | xor r10d, r10d
  b8 ca 00 00 00                | mov eax, 0xca  ; futex
  0f 05                         | syscall
  eb e5                         | jmp wait
begin:  ; slot.begun = the turn. With a gate: spins until header.go is that gate, or for about a hundredth of a second.
  41 89 c4                      | mov r12d, eax
  89 43 08                      | mov [rbx+0x8], eax
  8b 53 68                      | mov edx, [rbx+0x68]
  85 d2                         | test edx, edx
  74 11                         | je late
  b9 00 00 10 00                | mov ecx, 0x100000
gate:
  41 39 55 04                   | cmp [r13+0x4], edx
  74 06                         | je late
  f3 90                         | pause
  ff c9                         | dec ecx
  75 f4                         | jne gate
late:  ; Then as many pauses as slot.delay says.
  8b 4b 14                      | mov ecx, [rbx+0x14]
  e3 06                         | jrcxz act
delay:
  f3 90                         | pause
  ff c9                         | dec ecx
  75 fa                         | jne delay
act:  ; rdi, rsi, rdx: the first three arguments; eax: what to do.
  48 8b 7b 18                   | mov rdi, [rbx+0x18]
  48 8b 73 20                   | mov rsi, [rbx+0x20]
  48 8b 53 28                   | mov rdx, [rbx+0x28]
  8b 43 10                      | mov eax, [rbx+0x10]
  83 f8 00                      | cmp eax, 0x0
  74 4d                         | je call
  83 f8 01                      | cmp eax, 0x1
  74 5c                         | je load
  83 f8 02                      | cmp eax, 0x2
  74 5c                         | je store
  83 f8 03                      | cmp eax, 0x3
  74 5e                         | je fill
  83 f8 04                      | cmp eax, 0x4
  74 64                         | je copy
  83 f8 05                      | cmp eax, 0x5
  74 6b                         | je spin
clone:  ; DO.clone: clone(flags, top of the new slot), for a thread or a process; the child begins at born.
  49 89 f6                      | mov r14, rsi
  49 8d b6 00 00 01 00          | lea rsi, [r14+0x10000]
  31 d2                         | xor edx, edx
  45 31 d2                      | xor r10d, r10d
  45 31 c0                      | xor r8d, r8d
  b8 38 00 00 00                | mov eax, 0x38  ; clone
  0f 05                         | syscall
  48 85 c0                      | test rax, rax
  75 6c                         | jne over
  bf 01 00 00 00                | mov edi, 0x1  ; PR_SET_PDEATHSIG
  be 09 00 00 00                | mov esi, 0x9  ; SIGKILL
  b8 9d 00 00 00                | mov eax, 0x9d  ; prctl
  0f 05                         | syscall
  e9 46 ff ff ff                | jmp born
call:  ; DO.call: any system call.
  4c 8b 53 30                   | mov r10, [rbx+0x30]
  4c 8b 43 38                   | mov r8, [rbx+0x38]
  4c 8b 4b 40                   | mov r9, [rbx+0x40]
  48 8b 43 48                   | mov rax, [rbx+0x48]
  0f 05                         | syscall
  eb 42                         | jmp over
load:  ; DO.load
  0f b6 07                      | movzx eax, byte [rdi]
  eb 3d                         | jmp over
store:  ; DO.store
  40 88 37                      | mov byte [rdi], sil
  31 c0                         | xor eax, eax
  eb 36                         | jmp over
fill:  ; DO.fill: rdx bytes
  89 f0                         | mov eax, esi
  48 89 d1                      | mov rcx, rdx
  f3 aa                         | rep stos byte es:[rdi], al
  31 c0                         | xor eax, eax
  eb 2b                         | jmp over
copy:  ; DO.copy: rdx bytes from rdi to rsi
  48 89 d1                      | mov rcx, rdx
  48 87 f7                      | xchg rdi, rsi
  f3 a4                         | rep movs byte es:[rdi], byte ds:[rsi]
  31 c0                         | xor eax, eax
  eb 1f                         | jmp over
spin:  ; DO.spin: rdx times a whole page, bytes 1, 2, ..., 255, 1, ...
  48 89 fe                      | mov rsi, rdi
  b8 01 00 00 00                | mov eax, 0x1
again:
  48 89 f7                      | mov rdi, rsi
  b9 00 10 00 00                | mov ecx, 0x1000
  f3 aa                         | rep stos byte es:[rdi], al
  fe c0                         | inc al
  75 02                         | jne more
  fe c0                         | inc al
more:
  48 ff ca                      | dec rdx
  75 eb                         | jne again
  31 c0                         | xor eax, eax
over:  ; slot.result
  48 89 43 50                   | mov [rbx+0x50], rax
tell:  ; slot.done = the turn; the controller, who sleeps on header.notify, is woken.
  44 89 63 04                   | mov [rbx+0x4], r12d
  f0 41 ff 45 00                | lock inc [r13+0x0]
  4c 89 ef                      | mov rdi, r13
  be 01 00 00 00                | mov esi, 0x1
  ba 01 00 00 00                | mov edx, 0x1
  b8 ca 00 00 00                | mov eax, 0xca  ; futex
  0f 05                         | syscall
  e9 df fe ff ff                | jmp wait
handler:  ; A signal (rdi number, rsi siginfo, rdx ucontext): stored in the slot of the thread (its rbx), which goes on at over.
  48 8b 82 80 00 00 00          | mov rax, [rdx+0x80]
  89 78 58                      | mov [rax+0x58], edi
  8b 4e 08                      | mov ecx, [rsi+0x8]
  89 48 5c                      | mov [rax+0x5c], ecx
  48 8b 4e 10                   | mov rcx, [rsi+0x10]
  48 89 48 60                   | mov [rax+0x60], rcx
  48 8d 0d bb ff ff ff          | lea rcx, [rip+0xffffffffffffffbb]
  48 89 8a a8 00 00 00          | mov [rdx+0xa8], rcx
  c3                            | ret
restorer:  ; rt_sigreturn
  b8 0f 00 00 00                | mov eax, 0xf  ; rt_sigreturn
  0f 05                         | syscall
  66 0f 1f 44 00 00             | nop  ; up to a multiple of eight
action:  ; struct sigaction: handler, SA_SIGINFO | SA_RESTORER, restorer, no mask.
  5c 02 40 00 00 00 00 00       | .quad handler
  04 00 00 04 00 00 00 00       | .quad 0x4000004
  83 02 40 00 00 00 00 00       | .quad restorer
  00 00 00 00 00 00 00 00       | .quad 0
`

/** Where the executable's one segment lies, headers and all. */
export const CODE_ADDRESS = 0x400000
const ELF_HEADER_BYTES = 64
const PROGRAM_HEADER_BYTES = 56
const PT_LOAD = 1
const READ_AND_EXECUTE = 5
const ET_EXEC = 2
const EM_X86_64 = 62

export function puppetCode(): Uint8Array {
  const lines = CODE.matchAll(/^ +((?:[0-9a-f]{2} )+) *\|/gm)
  const bytes = [...lines].flatMap(([, code = '']) => code.trim().split(' '))
  return Uint8Array.from(bytes, (byte) => Number.parseInt(byte, 16))
}

/** A static executable: one segment with the headers and the code, which begins right behind them. */
export function puppetExecutable(): Uint8Array {
  const code = puppetCode()
  const start = ELF_HEADER_BYTES + PROGRAM_HEADER_BYTES
  const file = new Uint8Array(start + code.length)
  const view = new DataView(file.buffer)
  const u64 = (at: number, value: number) => view.setBigUint64(at, BigInt(value), true)
  // ELF header: magic, 64 bits, little endian, version 1.
  file.set([0x7f, 0x45, 0x4c, 0x46, 2, 1, 1])
  view.setUint16(16, ET_EXEC, true)
  view.setUint16(18, EM_X86_64, true)
  view.setUint32(20, 1, true)
  u64(24, CODE_ADDRESS + start)
  u64(32, ELF_HEADER_BYTES)
  view.setUint16(52, ELF_HEADER_BYTES, true)
  view.setUint16(54, PROGRAM_HEADER_BYTES, true)
  view.setUint16(56, 1, true)
  // Its program header: the whole file at CODE_ADDRESS.
  view.setUint32(64, PT_LOAD, true)
  view.setUint32(68, READ_AND_EXECUTE, true)
  u64(80, CODE_ADDRESS)
  u64(88, CODE_ADDRESS)
  u64(96, file.length)
  u64(104, file.length)
  u64(112, 4096)
  file.set(code, start)
  return file
}
