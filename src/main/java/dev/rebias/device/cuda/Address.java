package dev.rebias.device.cuda;

import org.bytedeco.javacpp.Pointer;

/** A device address as the presets take it. It owns nothing. */
final class Address extends Pointer {
    Address(long address) {
        this.address = address;
    }
}
