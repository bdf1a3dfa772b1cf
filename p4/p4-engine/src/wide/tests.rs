use super::{File, add, bitwise, div_rem, eq, lt, mul, shl, shr, sign_extend, signed_lt, sub};
use crate::layout::SLOTS;

use proptest::prelude::*;

const N: u16 = 4;
const A: u16 = 0;
const B: u16 = 10;
const D: u16 = 20;

fn file(a: [u64; 4], b: [u64; 4]) -> Box<File> {
    let mut file: Box<File> = vec![0; SLOTS].into_boxed_slice().try_into().unwrap();
    file[0..4].copy_from_slice(&a);
    file[10..14].copy_from_slice(&b);
    file
}

fn result(file: &File) -> [u64; 4] {
    file[20..24].try_into().unwrap()
}

fn limbs() -> impl Strategy<Value = [u64; 4]> {
    let limb = prop_oneof![any::<u64>(), Just(0), Just(u64::MAX), Just(1)];
    [limb.clone(), limb.clone(), limb.clone(), limb]
}

proptest! {
    #[test]
    fn addition_and_subtraction_undo_each_other(a in limbs(), b in limbs()) {
        let mut one = file(a, b);
        add(&mut *one, D, A, B, N);
        let mut two = file(result(&one), b);
        sub(&mut *two, D, A, B, N);
        prop_assert_eq!(result(&two), a);
    }

    #[test]
    fn quotient_times_divisor_plus_rest_is_the_dividend(a in limbs(), b in limbs()) {
        prop_assume!(b != [0; 4]);
        let (mut quotient, mut rest) = (file(a, b), file(a, b));
        div_rem(&mut *quotient, D, A, B, N, true);
        div_rem(&mut *rest, D, A, B, N, false);
        let mut product = file(result(&quotient), b);
        mul(&mut *product, D, A, B, N);
        let mut sum = file(result(&product), result(&rest));
        add(&mut *sum, D, A, B, N);
        prop_assert_eq!(result(&sum), a);
        prop_assert!(lt(&*file(result(&rest), b), A, B, N));
    }

    #[test]
    fn a_shift_is_a_multiplication_by_a_power(a in limbs(), by in 0u64..255) {
        let mut power = [0; 4];
        power[usize::try_from(by / 64).unwrap()] = 1 << (by % 64);
        let (mut shifted, mut product) = (file(a, power), file(a, power));
        shl(&mut *shifted, D, A, by, N);
        mul(&mut *product, D, A, B, N);
        prop_assert_eq!(result(&shifted), result(&product));
        let mut back = file(result(&shifted), power);
        shr(&mut *back, D, A, by, N, false);
        let mut quotient = file(result(&shifted), power);
        div_rem(&mut *quotient, D, A, B, N, true);
        prop_assert_eq!(result(&back), result(&quotient));
    }

    #[test]
    fn order_is_total_and_agrees_with_equality(a in limbs(), b in limbs()) {
        let both = file(a, b);
        let (less, equal, more) = (lt(&*both, A, B, N), eq(&*both, A, B, N), lt(&*both, B, A, N));
        prop_assert_eq!(u8::from(less) + u8::from(equal) + u8::from(more), 1);
        let flip = |limbs: [u64; 4]| [limbs[0], limbs[1], limbs[2], limbs[3] ^ (1 << 63)];
        prop_assert_eq!(signed_lt(&*both, A, B, N), lt(&*file(flip(a), flip(b)), A, B, N));
    }

    #[test]
    fn sign_extension_is_two_shifts(a in limbs(), bits in 1u16..=256) {
        let mut extended = file(a, a);
        sign_extend(&mut *extended, D, A, bits, N);
        let by = u64::from(256 - bits);
        let mut high = file(a, a);
        shl(&mut *high, D, A, by, N);
        let mut back = file(result(&high), a);
        shr(&mut *back, D, A, by, N, true);
        prop_assert_eq!(result(&extended), result(&back));
    }
}

#[test]
fn shifts_beyond_the_width_leave_zero_or_the_sign() {
    let ones = [u64::MAX; 4];
    for by in [256, 257, 1 << 40, u64::MAX] {
        let mut one = file(ones, ones);
        shl(&mut *one, D, A, by, N);
        assert_eq!(result(&one), [0; 4]);
        shr(&mut *one, D, A, by, N, false);
        assert_eq!(result(&one), [0; 4]);
        shr(&mut *one, D, A, by, N, true);
        assert_eq!(result(&one), ones);
    }
    let mut xor = file(ones, [1, 2, 3, 4]);
    bitwise(&mut *xor, D, A, B, N, |x, y| x ^ y);
    assert_eq!(result(&xor), [!1, !2, !3, !4]);
}
