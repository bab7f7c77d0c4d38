// What a package says it can do: the methods in its own type definitions.
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const modules = fileURLToPath(new URL('../node_modules', import.meta.url));

/** The program of one declaration file, and what it exports by name. */
function read(file) {
  const program = ts.createProgram([path.join(modules, file)], {
    module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler,
    target: ts.ScriptTarget.ES2022,
    // Names and signatures are enough; what they refer to takes long to read.
    noLib: true,
    noResolve: true,
    types: [],
  });
  const checker = program.getTypeChecker();
  const source = program.getSourceFile(path.join(modules, file));
  const found = checker.getExportsOfModule(checker.getSymbolAtLocation(source));
  const exported = new Map(found.map((s) => [s.name, s.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(s) : s]));
  return { checker, source, exported, locals: checker.getSymbolsInScope(source, ts.SymbolFlags.Class) };
}

/** The names of the functions and classes that a package exports. */
export function functionsOf(file) {
  const { exported } = read(file);
  const callable = ts.SymbolFlags.Function | ts.SymbolFlags.Class | ts.SymbolFlags.Variable;
  return [...exported].filter(([, s]) => s.flags & callable).map(([name]) => name).sort();
}

/**
 * The methods of what a function returns or of a class, exported or not, each
 * as its path ("notification.getById"). Private ones are left out, and so is
 * what belongs to another package or to the language.
 */
export function methodsOf(file, name) {
  const { checker, source, exported, locals } = read(file);
  const symbol = exported.get(name) ?? locals.find((s) => s.name === name && s.declarations?.[0].getSourceFile() === source);
  if (!symbol) throw new Error(`${file} has no ${name}`);
  const type =
    symbol.flags & ts.SymbolFlags.Function
      ? checker.getTypeOfSymbol(symbol).getCallSignatures()[0].getReturnType()
      : checker.getDeclaredTypeOfSymbol(symbol);
  const own = (s) => s.declarations?.some((d) => d.getSourceFile() === source && !(ts.getCombinedModifierFlags(d) & ts.ModifierFlags.Private));
  const out = [];
  const walk = (t, at) => {
    for (const p of checker.getPropertiesOfType(t).filter(own)) {
      const here = [...at, p.name];
      const type = checker.getTypeOfSymbol(p);
      if (type.getCallSignatures().length || checker.typeToString(type) === 'Function') out.push(here.join('.'));
      else if (here.length < 4 && !type.isClassOrInterface() && type.flags & ts.TypeFlags.Object && !checker.isArrayType(type)) walk(type, here);
    }
  };
  walk(type, []);
  return out.sort();
}
