# A guest for measuring live migration: writes one word of each page of [1 MiB, 1 MiB + SET), over and over, a page every STEP
# ticks of the time stamp counter. With FORGET -1 they count from the last page: what it was held up is not made up for; with 0 it is.
# First each page once, so that none is zero.
        .code16
        .globl _start
_start: cli
        xorw %ax, %ax
        movw %ax, %ds
        inb $0x92, %al
        orb $2, %al
        outb %al, $0x92
        lgdtl gdtr
        movl %cr0, %eax
        orl $1, %eax
        movl %eax, %cr0
        ljmpl $8, $start32
        .code32
start32: movw $16, %ax
        movw %ax, %ds
        movw %ax, %es
        movw %ax, %ss
        movl $0x100000, %ebx
fill:   incl (%ebx)
        addl $4096, %ebx
        cmpl end, %ebx
        jb fill
        movl $0x100000, %ebx
        rdtsc
        movl %eax, %esi
again:  incl (%ebx)
        addl $4096, %ebx
        cmpl end, %ebx
        jb wait
        movl $0x100000, %ebx
wait:   rdtsc
        subl %esi, %eax
        js wait
        andl forget, %eax
        addl %eax, %esi
        addl step, %esi
        jmp again
        .p2align 3
gdt:    .quad 0, 0x00cf9a000000ffff, 0x00cf92000000ffff
gdtr:   .word 23
        .long gdt
        .org 0x1ec
forget: .long 0
end:    .long 0
step:   .long 0
        .org 0x1fe
        .word 0xaa55
