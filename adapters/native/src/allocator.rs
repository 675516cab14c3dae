//! The allocator of the process.

use std::alloc::{GlobalAlloc, Layout};
use std::ffi::c_void;

use libmimalloc_sys as mimalloc;

/// mimalloc.
///
/// Usual layouts take its quick path: the functions for any alignment, which its own crate calls always, execute more than
/// twice as many instructions.
#[derive(Clone, Copy, Debug, Default)]
pub struct Allocator;

/// Whether mimalloc's blocks of this size have this alignment anyway.
const fn is_aligned(size: usize, alignment: usize) -> bool {
    alignment <= ALIGNMENT && alignment <= size
}

/// The size of a block with an unusual alignment: powers of two are aligned anyway, and for others mimalloc takes a slow path.
/// tokio aligns each task to 128 bytes.
const fn padded(size: usize) -> usize {
    if size <= PADDED_MAX { size.next_power_of_two() } else { size }
}

/// Larger blocks would waste more than the time is worth.
const PADDED_MAX: usize = 1024;

/// The alignment of every block that is not smaller (`MI_MAX_ALIGN_SIZE`).
const ALIGNMENT: usize = 16;

#[expect(unsafe_code, reason = "the trait of allocators is unsafe, and mimalloc is written in C")]
// SAFETY: the functions of mimalloc have the contract of the trait: blocks of at least the size, aligned as above or as asked,
// null if there is no memory; any of them may be freed and resized by the functions used here, on any thread.
unsafe impl GlobalAlloc for Allocator {
    #[inline]
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let (size, alignment) = (layout.size(), layout.align());
        // SAFETY: a layout's alignment is a power of two, and the size is not 0.
        unsafe {
            if is_aligned(size, alignment) {
                mimalloc::mi_malloc(size).cast()
            } else {
                mimalloc::mi_malloc_aligned(padded(size), alignment).cast()
            }
        }
    }

    #[inline]
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        let (size, alignment) = (layout.size(), layout.align());
        // SAFETY: as for `alloc`.
        unsafe {
            if is_aligned(size, alignment) {
                mimalloc::mi_zalloc(size).cast()
            } else {
                mimalloc::mi_zalloc_aligned(padded(size), alignment).cast()
            }
        }
    }

    #[inline]
    unsafe fn dealloc(&self, block: *mut u8, _: Layout) {
        // SAFETY: the block is one of this allocator.
        unsafe { mimalloc::mi_free(block.cast::<c_void>()) }
    }

    #[inline]
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        // SAFETY: the block is one of this allocator, and keeps its alignment.
        unsafe {
            if is_aligned(size, layout.align()) {
                mimalloc::mi_realloc(block.cast(), size).cast()
            } else {
                mimalloc::mi_realloc_aligned(block.cast(), size, layout.align()).cast()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(unsafe_code, reason = "an allocator is used")]
    fn blocks_have_their_alignment_and_keep_their_content() {
        for alignment in [1, 2, 4, 8, 16, 32, 128] {
            for size in [1, 3, 8, 12, 16, 24, 40, 100, 1000, 5000, 100_000] {
                let layout = Layout::from_size_align(size, alignment).unwrap();
                // SAFETY: the layouts are those of the blocks.
                unsafe {
                    let block = Allocator.alloc_zeroed(layout);
                    assert!(!block.is_null() && (block as usize).is_multiple_of(alignment), "{layout:?}");
                    assert!(std::slice::from_raw_parts(block, size).iter().all(|byte| *byte == 0));
                    block.write(7);
                    let grown = Allocator.realloc(block, layout, size * 3);
                    assert!((grown as usize).is_multiple_of(alignment) && grown.read() == 7, "{layout:?}");
                    Allocator.dealloc(grown, Layout::from_size_align(size * 3, alignment).unwrap());
                    let block = Allocator.alloc(layout);
                    assert!(!block.is_null() && (block as usize).is_multiple_of(alignment), "{layout:?}");
                    Allocator.dealloc(block, layout);
                }
            }
        }
    }
}
