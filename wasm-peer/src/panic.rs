use wasm_bindgen::prelude::*;

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn console_error(message: &str);
}

/// Makes a defect of ours say once, on the console, where it is; after it nothing of the node runs any more.
pub(crate) fn report_on_console() {
    std::panic::set_hook(Box::new(|panic| {
        console_error("partyline: the node has stopped on a defect of its own");
        if let Some(place) = panic.location() {
            console_error(place.file());
            console_error(itoa(place.line(), &mut [0; 10]));
        }
    }));
}

/// Writes a number without the formatting machinery, which would outweigh the rest of this crate.
fn itoa(mut number: u32, digits: &mut [u8; 10]) -> &str {
    let mut start = digits.len();
    loop {
        start -= 1;
        digits[start] = b'0' + (number % 10) as u8;
        number /= 10;
        if number == 0 {
            break;
        }
    }
    core::str::from_utf8(&digits[start..]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_in_full() {
        for number in [0, 7, 10, 4_294_967_295] {
            assert_eq!(itoa(number, &mut [0; 10]), number.to_string());
        }
    }
}
