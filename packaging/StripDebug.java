import java.io.IOException;
import java.lang.classfile.ClassFile;
import java.lang.classfile.ClassHierarchyResolver;
import java.lang.classfile.ClassTransform;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;

/**
 * Takes from every class in a folder what only a debugger reads, names of local variables and lines, as jlink does for Java's own classes.
 *
 * <p>Arguments: the folder, then the jars of all libraries, where the classes are found that these refer to.
 */
final class StripDebug {
    private StripDebug() {}

    public static void main(String[] args) throws IOException {
        List<URL> libraries = new ArrayList<>();
        for (int i = 1; i < args.length; i++) {
            libraries.add(Path.of(args[i]).toUri().toURL());
        }
        try (URLClassLoader loader = new URLClassLoader(libraries.toArray(URL[]::new), ClassLoader.getPlatformClassLoader());
                Stream<Path> files = Files.walk(Path.of(args[0]))) {
            ClassFile classes = ClassFile.of(
                    ClassFile.DebugElementsOption.DROP_DEBUG,
                    ClassFile.LineNumbersOption.DROP_LINE_NUMBERS,
                    ClassFile.ConstantPoolSharingOption.NEW_POOL,
                    ClassFile.ClassHierarchyResolverOption.of(ClassHierarchyResolver.ofResourceParsing(loader)));
            for (Path file : files.filter(f -> f.toString().endsWith(".class")).toList()) {
                strip(classes, file);
            }
        }
    }

    private static void strip(ClassFile classes, Path file) throws IOException {
        try {
            Files.write(file, classes.transformClass(classes.parse(file), ClassTransform.ACCEPT_ALL));
        } catch (IllegalArgumentException e) {
            // It refers to a library that is optional, and not here: it stays as it is.
            System.err.println("dist: not stripped: " + file + ": " + e.getMessage());
        }
    }
}
