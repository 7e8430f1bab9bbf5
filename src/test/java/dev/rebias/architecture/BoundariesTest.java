package dev.rebias.architecture;

import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.methods;
import static com.tngtech.archunit.lang.syntax.ArchRuleDefinition.noClasses;
import static com.tngtech.archunit.library.Architectures.layeredArchitecture;
import static com.tngtech.archunit.library.dependencies.SlicesRuleDefinition.slices;

import com.tngtech.archunit.core.domain.JavaClass;
import com.tngtech.archunit.core.domain.JavaMethod;
import com.tngtech.archunit.core.domain.JavaParameter;
import com.tngtech.archunit.core.importer.ImportOption;
import com.tngtech.archunit.junit.AnalyzeClasses;
import com.tngtech.archunit.junit.ArchTest;
import com.tngtech.archunit.lang.ArchCondition;
import com.tngtech.archunit.lang.ArchRule;
import com.tngtech.archunit.lang.ConditionEvents;
import com.tngtech.archunit.lang.SimpleConditionEvent;
import java.util.stream.Stream;

/** The boundaries of docs/architecture.md: who may know whom. */
@AnalyzeClasses(packages = "dev.rebias", importOptions = ImportOption.DoNotIncludeTests.class)
final class BoundariesTest {
    @ArchTest
    static final ArchRule DEPENDENCIES_POINT_ONE_WAY = layeredArchitecture()
            .consideringOnlyDependenciesInLayers()
            .layer("front door")
            .definedBy("dev.rebias")
            .layer("cli")
            .definedBy("dev.rebias.cli..")
            .layer("check")
            .definedBy("dev.rebias.check..")
            .layer("batch")
            .definedBy("dev.rebias.batch..")
            .layer("report")
            .definedBy("dev.rebias.report..")
            .layer("verify")
            .definedBy("dev.rebias.verify..")
            .layer("outcome")
            .definedBy("dev.rebias.outcome..")
            .layer("sweep")
            .definedBy("dev.rebias.sweep..")
            .layer("keras")
            .definedBy("dev.rebias.keras..")
            .layer("hdf5")
            .definedBy("dev.rebias.hdf5..")
            .layer("model")
            .definedBy("dev.rebias.model..")
            .layer("samples")
            .definedBy("dev.rebias.samples..")
            .layer("measure")
            .definedBy("dev.rebias.measure..")
            .layer("rounding")
            .definedBy("dev.rebias.rounding..")
            .layer("device")
            .definedBy("dev.rebias.device..")
            .layer("op")
            .definedBy("dev.rebias.op..")
            .layer("runtime")
            .definedBy("dev.rebias.runtime..")
            .layer("files")
            .definedBy("dev.rebias.files..")
            .layer("exchange")
            .definedBy("dev.rebias.exchange..")
            .layer("tensor")
            .definedBy("dev.rebias.tensor..")
            .whereLayer("cli")
            .mayNotBeAccessedByAnyLayer()
            .whereLayer("check")
            .mayOnlyBeAccessedByLayers("cli")
            .whereLayer("batch")
            .mayOnlyBeAccessedByLayers("cli")
            .whereLayer("report")
            .mayOnlyBeAccessedByLayers("cli")
            .whereLayer("verify")
            .mayOnlyBeAccessedByLayers("cli", "report")
            .whereLayer("front door")
            .mayOnlyBeAccessedByLayers("cli", "check", "report", "verify")
            .whereLayer("outcome")
            .mayOnlyBeAccessedByLayers("front door", "report", "cli")
            .whereLayer("sweep")
            .mayOnlyBeAccessedByLayers("front door", "cli", "check", "report")
            .whereLayer("exchange")
            .mayOnlyBeAccessedByLayers("front door", "sweep", "outcome", "cli")
            .whereLayer("keras")
            .mayOnlyBeAccessedByLayers("front door", "cli")
            .whereLayer("hdf5")
            .mayOnlyBeAccessedByLayers("keras")
            .whereLayer("model")
            .mayOnlyBeAccessedByLayers("sweep", "front door", "cli", "check", "verify", "keras", "outcome")
            .whereLayer("rounding")
            .mayOnlyBeAccessedByLayers("measure", "sweep")
            .whereLayer("measure")
            .mayOnlyBeAccessedByLayers("sweep", "front door", "report", "check")
            .whereLayer("device")
            .mayOnlyBeAccessedByLayers("measure", "sweep", "front door", "report", "verify", "cli", "check")
            .whereLayer("samples")
            .mayOnlyBeAccessedByLayers("sweep", "front door", "cli", "check", "verify", "outcome", "report")
            .whereLayer("op")
            .mayOnlyBeAccessedByLayers("model", "keras", "device", "measure", "sweep", "front door", "cli")
            .whereLayer("files")
            .mayOnlyBeAccessedByLayers("front door", "model", "keras", "samples", "runtime", "device", "cli", "batch")
            .whereLayer("runtime")
            .mayOnlyBeAccessedByLayers("model", "device", "verify", "outcome", "cli");

    @ArchTest
    static final ArchRule NO_CYCLES =
            slices().matching("dev.rebias.(*)..").should().beFreeOfCycles();

    /** Inside the CPU device. */
    @ArchTest
    static final ArchRule THE_CPU_DEVICES_PARTS = layeredArchitecture()
            .consideringOnlyDependenciesInAnyPackage("dev.rebias.device.cpu..")
            .layer("device")
            .definedBy("dev.rebias.device.cpu")
            .layer("sums")
            .definedBy("dev.rebias.device.cpu.sums")
            .layer("nodes")
            .definedBy("dev.rebias.device.cpu.nodes")
            .layer("layer")
            .definedBy("dev.rebias.device.cpu.layer")
            .layer("elementwise")
            .definedBy("dev.rebias.device.cpu.elementwise")
            .layer("onednn")
            .definedBy("dev.rebias.device.cpu.onednn")
            .layer("memory")
            .definedBy("dev.rebias.device.cpu.memory")
            .whereLayer("device")
            .mayNotBeAccessedByAnyLayer()
            .whereLayer("sums")
            .mayOnlyBeAccessedByLayers("device")
            .whereLayer("nodes")
            .mayOnlyBeAccessedByLayers("device")
            .whereLayer("layer")
            .mayOnlyBeAccessedByLayers("device")
            .whereLayer("elementwise")
            .mayOnlyBeAccessedByLayers("layer", "sums", "device")
            .whereLayer("onednn")
            .mayOnlyBeAccessedByLayers("elementwise", "layer", "nodes", "sums", "device");

    /** For the others a device is one class. */
    @ArchTest
    static final ArchRule NOBODY_ELSE_KNOWS_THE_CPU_DEVICES_PARTS = noClasses()
            .that()
            .resideOutsideOfPackage("dev.rebias.device.cpu..")
            .should()
            .dependOnClassesThat()
            .resideInAnyPackage(
                    "dev.rebias.device.cpu.memory",
                    "dev.rebias.device.cpu.onednn",
                    "dev.rebias.device.cpu.elementwise",
                    "dev.rebias.device.cpu.layer",
                    "dev.rebias.device.cpu.nodes",
                    "dev.rebias.device.cpu.sums");

    @ArchTest
    static final ArchRule ONLY_THE_CUDA_DEVICE_KNOWS_CUDA = noClasses()
            .that()
            .resideOutsideOfPackage("dev.rebias.device.cuda..")
            .should()
            .dependOnClassesThat()
            .resideInAPackage("org.bytedeco.cuda..");

    @ArchTest
    static final ArchRule ONLY_THE_COMMAND_LINE_PRINTS_AND_EXITS = noClasses()
            .that()
            .resideOutsideOfPackage("dev.rebias.cli..")
            .should()
            .accessField(System.class, "out")
            .orShould()
            .accessField(System.class, "err")
            .orShould()
            .callMethod(System.class, "exit", int.class)
            .orShould()
            .callMethod(System.class, "getenv", String.class);

    /** What others build on: a library that is changed for another must not change their programs. */
    @ArchTest
    static final ArchRule THE_FRONT_DOOR_SHOWS_NO_LIBRARY = methods()
            .that()
            .areDeclaredInClassesThat()
            .resideInAPackage("dev.rebias")
            .and()
            .areDeclaredInClassesThat()
            .arePublic()
            .and()
            .arePublic()
            .should(new ArchCondition<>("name only classes of Java and of rebias, and no device's own") {
                @Override
                public void check(JavaMethod method, ConditionEvents events) {
                    Stream.concat(
                                    Stream.of(method.getReturnType()),
                                    method.getParameters().stream().map(JavaParameter::getType))
                            .flatMap(type -> type.getAllInvolvedRawTypes().stream())
                            .map(JavaClass::getBaseComponentType)
                            .filter(type -> !isOpen(type))
                            .forEach(type -> events.add(SimpleConditionEvent.violated(
                                    method, method.getFullName() + " names " + type.getFullName())));
                }
            });

    private static boolean isOpen(JavaClass type) {
        String name = type.getPackageName();
        boolean own = name.equals("dev.rebias") || name.startsWith("dev.rebias.");
        boolean inner = Stream.of("device.cpu", "device.cuda", "op", "hdf5", "runtime", "rounding")
                .anyMatch(p -> name.equals("dev.rebias." + p));
        return type.isPrimitive() || name.startsWith("java.") || (own && !inner);
    }
}
